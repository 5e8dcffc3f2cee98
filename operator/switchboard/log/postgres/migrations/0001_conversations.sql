-- The key of each table is made after its other indexes, but for partial ones. What is planned before the first ANALYZE
-- finds that every index that holds the same columns costs the same; of equals PostgreSQL takes the newest. A longer
-- index instead of the key would be walked through each time; so would one that is shorter than the key, and costs less
-- as long as nothing is known of the tables: therefore each of them ends with the name.

-- The clock of leases and attempts: the database's, so that pods need not agree on the time.
CREATE FUNCTION switchboard_now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT statement_timestamp()';

-- Several clusters' namespaces may share a database. The key makes contacts unrecognizable in names, and stays with the
-- conversations when a cluster is made anew.
CREATE TABLE switchboard_namespaces (
    name text COLLATE "C" PRIMARY KEY,
    contact_key bytea NOT NULL
);

CREATE TABLE switchboard_agents (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL REFERENCES switchboard_namespaces,
    name text COLLATE "C" NOT NULL,
    UNIQUE (namespace, name)
);

CREATE TABLE switchboard_conversations (
    agent integer NOT NULL REFERENCES switchboard_agents,
    name text COLLATE "C" NOT NULL,
    connector text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    contact_name text,
    opted_out boolean NOT NULL DEFAULT false,
    revision text COLLATE "C",
    created timestamptz NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    last_message_time timestamptz,
    -- Indexed in its place: a message of the same minute changes no index, and so is written for less (a heap-only tuple,
    -- https://www.postgresql.org/docs/current/storage-hot.html). In UTC, whatever a session's time zone.
    last_message_minute timestamp
        GENERATED ALWAYS AS (date_trunc('minute', last_message_time AT TIME ZONE 'UTC')) STORED,
    last_message text,
    turns integer NOT NULL DEFAULT 0,
    -- The execution that runs, or waits to be tried again.
    current text COLLATE "C",
    holder text,
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    -- When a worker may take its next turn: when the lease ends, or what there is falls due. Null: there is nothing.
    ready_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX switchboard_conversations_last ON switchboard_conversations (agent, provider, last_message_minute, name);
CREATE INDEX switchboard_conversations_contact ON switchboard_conversations (agent, contact, last_message_minute, name);
ALTER TABLE switchboard_conversations ADD PRIMARY KEY (agent, name);
CREATE INDEX switchboard_conversations_ready ON switchboard_conversations (agent, ready_at) WHERE ready_at IS NOT NULL;

CREATE TABLE switchboard_messages (
    -- Orders a conversation's messages: the order of durable receipt.
    id bigint GENERATED ALWAYS AS IDENTITY,
    agent integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    outbound boolean NOT NULL,
    -- Whether it waits, is held, or is to be sent.
    open boolean NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    body text NOT NULL,
    media json,
    attributes json,
    time timestamptz NOT NULL,
    recorded timestamptz NOT NULL,
    -- Of an inbound message that an execution took, what that execution's state says.
    state text COLLATE "C" NOT NULL,
    error_code integer,
    error text,
    provider_message_id text COLLATE "C",
    delivery text COLLATE "C",
    execution text COLLATE "C",
    attempts integer NOT NULL DEFAULT 0,
    attempt_fence bigint,
    attempt_deadline timestamptz,
    unconfirmed_after timestamptz,
    not_before timestamptz
) WITH (fillfactor = 90);
ALTER TABLE switchboard_messages ADD PRIMARY KEY (agent, conversation, id);
CREATE INDEX switchboard_messages_time ON switchboard_messages (agent, provider, time, id);
CREATE UNIQUE INDEX switchboard_messages_name ON switchboard_messages (agent, name);
CREATE INDEX switchboard_messages_open ON switchboard_messages (agent, conversation, id) WHERE open;
CREATE INDEX switchboard_messages_sent ON switchboard_messages (agent, provider_message_id)
    WHERE outbound AND provider_message_id IS NOT NULL;

CREATE TABLE switchboard_executions (
    agent integer NOT NULL,
    name text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    revision text COLLATE "C" NOT NULL,
    messages text[] NOT NULL,
    state text COLLATE "C" NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    attempts integer NOT NULL DEFAULT 1,
    not_before timestamptz,
    engine text,
    model text,
    usage json,
    steps json,
    error json,
    trace_id text
) WITH (fillfactor = 70);
CREATE INDEX switchboard_executions_time ON switchboard_executions (agent, start_time, name);
CREATE INDEX switchboard_executions_conversation ON switchboard_executions (agent, conversation, start_time, name);
ALTER TABLE switchboard_executions ADD PRIMARY KEY (agent, name);

CREATE TABLE switchboard_backfills (
    agent integer NOT NULL,
    connector text COLLATE "C" NOT NULL,
    holder text,
    fence bigint NOT NULL,
    lease_until timestamptz,
    cursor timestamptz,
    PRIMARY KEY (agent, connector)
);

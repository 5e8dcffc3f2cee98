{{- define "switchboard.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "switchboard.operator" -}}
{{ include "switchboard.fullname" . }}-operator
{{- end -}}

{{- define "switchboard.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "switchboard.operator" .) }}
{{- end -}}

{{/* Name of the ClusterRole that the operator binds each webhook's ServiceAccount to. */}}
{{- define "switchboard.webhookRole" -}}
{{ include "switchboard.fullname" . }}-webhook
{{- end -}}

{{- define "switchboard.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "switchboard.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: switchboard
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "switchboard.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Of every pod: the Pod Security Standard `restricted`. */}}
{{- define "switchboard.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "switchboard.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "switchboard.operatorEnv" -}}
- name: SWITCHBOARD_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: SWITCHBOARD_LEASE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: SWITCHBOARD_PUBLIC_URL
  value: {{ .Values.publicURL | quote }}
- name: SWITCHBOARD_ALLOWED_HOSTS
  value: {{ .Values.allowedHosts | toJson | quote }}
- name: SWITCHBOARD_NAMESPACES
  value: {{ .Values.namespaces | toJson | quote }}
- name: SWITCHBOARD_IMAGE
  value: {{ include "switchboard.image" . | quote }}
- name: SWITCHBOARD_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy | quote }}
- name: SWITCHBOARD_WEBHOOK_CLUSTER_ROLE
  value: {{ include "switchboard.webhookRole" . | quote }}
- name: SWITCHBOARD_ROUTE
  value: {{ .Values.route.kind | quote }}
- name: SWITCHBOARD_INGRESS_CLASS
  value: {{ .Values.route.ingress.className | quote }}
- name: SWITCHBOARD_INGRESS_ANNOTATIONS
  value: {{ .Values.route.ingress.annotations | toJson | quote }}
- name: SWITCHBOARD_GATEWAY
  value: {{ if .Values.route.gateway.name }}{{ printf "%s/%s" (.Values.route.gateway.namespace | default .Release.Namespace) .Values.route.gateway.name | quote }}{{ else }}""{{ end }}
- name: SWITCHBOARD_DEFAULT_LOG_BACKEND
  value: {{ .Values.conversationLog.backend | quote }}
- name: SWITCHBOARD_DEFAULT_LOG_SECRET
  value: {{ .Values.conversationLog.postgres.secretName | quote }}
- name: SWITCHBOARD_DEFAULT_LOG_SECRET_KEY
  value: {{ .Values.conversationLog.postgres.secretKey | quote }}
- name: SWITCHBOARD_CHECK_INTERVAL
  value: {{ .Values.operator.checkIntervalSeconds | quote }}
- name: SWITCHBOARD_LOG_LEVEL
  value: {{ .Values.operator.logLevel | quote }}
- name: SWITCHBOARD_LOG_FORMAT
  value: {{ .Values.operator.logFormat | quote }}
{{- with .Values.operator.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

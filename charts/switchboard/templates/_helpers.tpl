{{/* Services' names begin with a letter and have no dots; a release's may be otherwise. */}}
{{- define "switchboard.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $release := replace "." "-" .Release.Name -}}
{{- $name = ternary $release (printf "%s-%s" $release .Chart.Name) (contains .Chart.Name $release) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- fail (printf "fullnameOverride: set it to a name that begins with a letter, which that of the release, %s, does not" .Release.Name) -}}
{{- end -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Of the operator's Deployment, Service, Lease and roles. */}}
{{- define "switchboard.operator" -}}
{{ include "switchboard.fullname" . }}-operator
{{- end -}}

{{- define "switchboard.release" -}}
{{ include "switchboard.fullname" . }}-release
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
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "switchboard.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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
{{- with .Values.operator.runAsUser }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "switchboard.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where a pod of ours may run, and on whose account. */}}
{{- define "switchboard.placement" -}}
{{- with .Values.operator.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.operator.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Settings that the operator and the release before an uninstall share (switchboard.settings.OperatorSettings). */}}
{{- define "switchboard.operatorEnv" -}}
- name: SWITCHBOARD_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: SWITCHBOARD_LEASE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: SWITCHBOARD_LEASE_NAME
  value: {{ include "switchboard.operator" . | quote }}
- name: SWITCHBOARD_NAMESPACES
  value: {{ .Values.namespaces | toJson | quote }}
- name: SWITCHBOARD_PUBLIC_URL
  value: {{ .Values.publicURL | quote }}
- name: SWITCHBOARD_ALLOWED_HOSTS
  value: {{ .Values.allowedHosts | toJson | quote }}
- name: SWITCHBOARD_TWILIO_BASE_URL
  value: {{ .Values.twilio.baseURL | quote }}
- name: SWITCHBOARD_LOG_LEVEL
  value: {{ .Values.operator.logLevel | quote }}
- name: SWITCHBOARD_LOG_FORMAT
  value: {{ .Values.operator.logFormat | quote }}
{{- with .Values.operator.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Subjects of the operator's bindings. */}}
{{- define "switchboard.subjects" -}}
- kind: ServiceAccount
  name: {{ include "switchboard.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{- define "switchboard.releaseSubjects" -}}
- kind: ServiceAccount
  name: {{ include "switchboard.release" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* What makes an object part of the pre-delete hook. */}}
{{- define "switchboard.hookAnnotations" -}}
helm.sh/hook: pre-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* Addresses outside of clusters and their nodes: what is left when the private ranges are taken away. */}}
{{- define "switchboard.publicEgress" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    - ipBlock:
        cidr: ::/0
        except: ["fc00::/7", "fe80::/10"]
  ports: {{- range .Values.networkPolicy.publicPorts }}
    - {protocol: TCP, port: {{ . | int }}}
  {{- end }}
{{- end -}}

{{/* What every pod of ours reaches: DNS and the API server. */}}
{{- define "switchboard.clusterEgress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports: {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . | int }}}
  {{- end }}
  {{- with .Values.networkPolicy.apiServerCIDRs }}
  to: {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "switchboard.metricsIngress" -}}
- ports:
    - {protocol: TCP, port: 8081}
  {{- with .Values.networkPolicy.metricsFrom }}
  from: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "ottla.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name, with the chart's unless it is in there already. */ -}}
{{- define "ottla.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "ottla.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ottla.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ottla.operator" -}}{{ include "ottla.fullname" . }}-operator{{- end -}}

{{- define "ottla.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ottla.operator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ottla.image" -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}

{{- define "ottla.cluster" -}}{{ default .Release.Name .Values.cluster.name }}{{- end -}}

{{- define "ottla.chartLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ottla
{{- end -}}

{{- define "ottla.selector" -}}
app.kubernetes.io/name: {{ include "ottla.name" . }}-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ottla.labels" -}}
{{ include "ottla.chartLabels" . }}
{{ include "ottla.selector" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* What it looks after, as a list of namespaces; empty for all. */ -}}
{{- define "ottla.namespaces" -}}
{{- if .Values.operator.clusterWide -}}
{{- else if .Values.operator.watchNamespaces -}}
{{- join "," .Values.operator.watchNamespaces -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "ottla.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "ottla.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* A Job's spec: the operator's program with a verb for what the ConfigMap `name` holds. */ -}}
{{- define "ottla.resourcesJob" -}}
{{- $values := .root.Values -}}
backoffLimit: 2
activeDeadlineSeconds: 120
ttlSecondsAfterFinished: 3600
template:
  metadata:
    labels: {{- toYaml .labels | nindent 6 }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ .name }}
    automountServiceAccountToken: true
    enableServiceLinks: false
    securityContext: {{- include "ottla.podSecurity" .root | nindent 6 }}
    {{- with $values.image.pullSecrets }}
    imagePullSecrets: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.operator.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.operator.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: {{ .verb }}
        image: {{ include "ottla.image" .root }}
        imagePullPolicy: {{ $values.image.pullPolicy }}
        command: [/ottla-operator, {{ .verb }}, --namespace, {{ .root.Release.Namespace }}, --configmap, {{ .name }}]
        resources:
          requests: {cpu: 10m, memory: 16Mi}
          limits: {memory: 64Mi}
        securityContext: {{- include "ottla.containerSecurity" .root | nindent 10 }}
{{- end -}}

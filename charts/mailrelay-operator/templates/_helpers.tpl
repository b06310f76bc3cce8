{{- define "mailrelay.name" -}}
{{- if contains "mailrelay" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-mailrelay-operator" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "mailrelay.selector" -}}
app.kubernetes.io/name: mailrelay-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "mailrelay.labels" -}}
{{ include "mailrelay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mailrelay
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes a list of the image's values and the chart's context. */}}
{{- define "mailrelay.image" -}}
{{- $image := index . 0 }}{{ $chart := index . 1 -}}
{{- $repository := $image.repository | default $chart.Values.image.repository | required "image.repository is not set: name where you pushed the image, such as --set image.repository=registry.example.com/mailrelay" -}}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}{{ else }}{{ $repository }}:{{ $image.tag | default $chart.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/* The name of the application, in labels. */}}
{{- define "mailrelay.application" -}}
{{ .Values.nameOverride | default "mailrelay-operator" | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object of the release. That of a Service has no dot and begins with a letter, a release may not. */}}
{{- define "mailrelay.name" -}}
{{- $word := .Values.nameOverride | default "mailrelay" -}}
{{- $name := printf "%s-%s" .Release.Name (include "mailrelay.application" .) -}}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride -}}
{{- else if contains $word .Release.Name }}{{ $name = .Release.Name }}{{ end -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "r-%s" $name }}{{ end -}}
{{ $name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "mailrelay.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "mailrelay.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "mailrelay.selector" -}}
app.kubernetes.io/name: {{ include "mailrelay.application" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Takes a list of the chart's context and of maps of further labels: the former win, and the chart's own win over all. */}}
{{- define "mailrelay.labelsWith" -}}
{{- $chart := index . 0 -}}
{{- $labels := include "mailrelay.selector" $chart | fromYaml -}}
{{- $_ := merge $labels (dict
  "app.kubernetes.io/version" (include "mailrelay.labelValue" $chart.Chart.AppVersion)
  "app.kubernetes.io/part-of" "mailrelay"
  "app.kubernetes.io/managed-by" $chart.Release.Service
  "helm.sh/chart" (include "mailrelay.labelValue" (printf "%s-%s" $chart.Chart.Name $chart.Chart.Version))) -}}
{{- range rest . }}{{ $_ := merge $labels (. | default dict) }}{{ end -}}
{{ toYaml $labels }}
{{- end }}

{{- define "mailrelay.labels" -}}
{{ include "mailrelay.labelsWith" (list . .Values.commonLabels) }}
{{- end }}

{{/* Neither labels nor tags of images take the + of a version. */}}
{{- define "mailrelay.labelValue" -}}
{{ . | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{/* Takes a tag, which may be a whole number: "--set image.tag=2" makes one of it, and a stored release a float of that. */}}
{{- define "mailrelay.tag" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end -}}
{{- end }}

{{/*
Takes a list of the values of an image, of those of the other one, and of the chart's context. What an image does not say
is as the other one has it, but for the tag of the relay's, which is no reason for another operator.
*/}}
{{- define "mailrelay.image" -}}
{{- $image := index . 0 }}{{ $other := index . 1 }}{{ $chart := index . 2 -}}
{{- $repository := $image.repository | default $other.repository | required "image.repository is not set: name where you pushed the image, such as --set image.repository=registry.example.com/mailrelay" -}}
{{- with $chart.Values.global.imageRegistry -}}
  {{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- $digest := $image.digest -}}
{{- $tag := include "mailrelay.tag" $image.tag -}}
{{- if not (or $digest $tag) }}{{ $digest = $other.digest }}{{ end -}}
{{- $tag = $tag | default (include "mailrelay.tag" $chart.Values.image.tag) | default $chart.Chart.AppVersion | replace "+" "_" -}}
{{- $reference := ternary (printf "%s@%s" $repository $digest) (printf "%s:%s" $repository $tag) (not (empty $digest)) -}}
{{- if not (regexMatch (include "mailrelay.reference" .) $reference) -}}
  {{- fail (printf "%q is no name of an image: a repository has no https://, tag or digest, such as registry.example.com/mailrelay; the tag goes into image.tag, a digest into image.digest" $reference) -}}
{{- end -}}
{{ $reference }}
{{- end }}

{{/* Takes a list of the values of an image and of those of the other one. */}}
{{- define "mailrelay.pullPolicy" -}}
{{- $image := index . 0 }}{{ $other := index . 1 -}}
{{ $image.pullPolicy | default $other.pullPolicy | default "IfNotPresent" }}
{{- end }}

{{/* What the name of an image may be: a registry, a path, and a tag or a digest. */}}
{{- define "mailrelay.reference" -}}
^(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$
{{- end }}

{{/* Names of pull secrets, by commas. A pull secret is a name, or an object with a name, as pods have it. */}}
{{- define "mailrelay.pullSecrets" -}}
{{- range $index, $secret := .Values.imagePullSecrets }}{{ if $index }},{{ end }}{{ if kindIs "string" $secret }}{{ $secret }}{{ else }}{{ $secret.name }}{{ end }}{{ end -}}
{{- end }}

{{/* The same, as a pod has it. */}}
{{- define "mailrelay.imagePullSecrets" -}}
{{- with include "mailrelay.pullSecrets" . -}}
imagePullSecrets:
  {{- range splitList "," . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes a list of a security context, of a pod or a container, and of the chart's context. Without what a cluster assigns itself. */}}
{{- define "mailrelay.securityContext" -}}
{{- $context := index . 0 | default dict }}{{ $chart := index . 1 -}}
{{- if $chart.Values.openshift }}{{ $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "supplementalGroups" }}{{ end -}}
{{ toYaml $context }}
{{- end }}

{{/* Replicas on different nodes, unless told otherwise. */}}
{{- define "mailrelay.affinity" -}}
{{- if .Values.affinity }}{{ toYaml .Values.affinity }}
{{- else if gt (int .Values.replicas) 1 -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "mailrelay.selector" . | nindent 12 }}
{{- end }}
{{- end }}

{{/* Where "helm test" has its relay. */}}
{{- define "mailrelay.testNamespace" -}}
{{ if .Values.watchNamespaces }}{{ first .Values.watchNamespaces }}{{ else }}{{ .Release.Namespace }}{{ end }}
{{- end }}

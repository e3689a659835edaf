{{/* The base of all names. */}}
{{- define "rollcall.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The labels that select the nodes. They may never change. */}}
{{- define "rollcall.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "rollcall.labels" -}}
{{ include "rollcall.selector" . }}
{{ include "rollcall.commonLabels" . }}
{{- end -}}

{{- define "rollcall.commonLabels" -}}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The headless service, and its whole name, by which the nodes find each other. */}}
{{- define "rollcall.headless" -}}
{{ include "rollcall.fullname" . }}-nodes
{{- end -}}
{{- define "rollcall.domain" -}}
{{ include "rollcall.headless" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{- define "rollcall.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "rollcall.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "rollcall.image" -}}
{{- $repository := required "image.repository is missing: build deploy/Dockerfile, push the image to a registry that your cluster pulls from, and name it" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Not empty if the node has a port for other nodes. */}}
{{- define "rollcall.clustered" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.tls.existingSecret .Values.tls.certManager.enabled .Values.tls.insecure -}}yes{{- end -}}
{{- end -}}

{{/* The Secret with the nodes' certificate; empty without TLS. */}}
{{- define "rollcall.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager.enabled -}}
{{ include "rollcall.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* GOMEMLIMIT: nine tenths of the memory limit, so that the garbage collector works harder before the kernel kills the node. */}}
{{- define "rollcall.goMemLimit" -}}
{{- $limit := toString .Values.resources.limits.memory -}}
{{- if hasSuffix "Gi" $limit -}}
{{ div (mul (trimSuffix "Gi" $limit | int64) 1024 9) 10 }}MiB
{{- else if hasSuffix "Mi" $limit -}}
{{ div (mul (trimSuffix "Mi" $limit | int64) 9) 10 }}MiB
{{- end -}}
{{- end -}}

{{/* Fails on values that no schema can refuse. */}}
{{- define "rollcall.check" -}}
{{- $ways := list -}}
{{- if .Values.tls.existingSecret -}}{{- $ways = append $ways "tls.existingSecret" -}}{{- end -}}
{{- if .Values.tls.certManager.enabled -}}{{- $ways = append $ways "tls.certManager.enabled" -}}{{- end -}}
{{- if .Values.tls.insecure -}}{{- $ways = append $ways "tls.insecure" -}}{{- end -}}
{{- if gt (len $ways) 1 -}}
{{- fail (printf "%s exclude each other: give one of them" (join " and " $ways)) -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (eq (len $ways) 0) -}}
{{- fail "more than one node needs TLS between them: give tls.existingSecret or tls.certManager.enabled; or tls.insecure on a network that nobody else reaches" -}}
{{- end -}}
{{- if not .Values.livekit.host -}}
{{- fail "livekit.host is missing: give LiveKit's host or URL, such as project.livekit.cloud or http://livekit.livekit.svc:7880" -}}
{{- end -}}
{{- if not .Values.livekit.existingSecret -}}
{{- fail "livekit.existingSecret is missing: make a Secret with the entries api-key and api-secret, and name it" -}}
{{- end -}}
{{- if eq (empty .Values.redis.existingSecret) (empty .Values.redis.url) -}}
{{- fail "give one of redis.existingSecret, a Secret with the entry redis-url, and redis.url, for a Redis without a password" -}}
{{- end -}}
{{- if and .Values.redis.tls.clientCertificate (not .Values.redis.tls.existingSecret) -}}
{{- fail "redis.tls.clientCertificate needs redis.tls.existingSecret, which has the certificate" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.public) (not .Values.adminToken.existingSecret) -}}
{{- fail "serviceMonitor.enabled needs a token for /metrics: give adminToken.existingSecret, or metrics.public" -}}
{{- end -}}
{{- $own := list "node-id" "data-dir" "bootstrap-expect" "join" "node-addr" "node-advertise" "http-addr" "http-advertise" "drain-delay" "tls-ca" "tls-cert" "tls-key" "insecure" "http-tls-cert" "http-tls-key" "redis-tls-ca" "redis-tls-cert" "redis-tls-key" "metrics-public" "livekit-host" "livekit-api-key" "livekit-api-key-file" "livekit-api-secret" "livekit-api-secret-file" "livekit-keys" "livekit-keys-file" "redis-url" "redis-url-file" "admin-token" "admin-token-file" "embedded-redis" "config" -}}
{{- range $name, $value := .Values.config -}}
{{- if has $name $own -}}
{{- fail (printf "config.%s is the chart's own setting: use the chart's value for it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

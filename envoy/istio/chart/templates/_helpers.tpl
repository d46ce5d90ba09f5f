{{/* Merges the map `over` into the map `into`. Sprig's own merge takes neither false, 0 nor an empty list over. */}}
{{- define "tracewarden.merge" -}}
{{- range $key, $value := .over }}
{{- if and (kindIs "map" $value) (kindIs "map" (get $.into $key)) }}
{{- include "tracewarden.merge" (dict "into" (get $.into $key) "over" $value) }}
{{- else }}
{{- $_ := set $.into $key $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* Ends the rendering if a value is missing, or if two do not fit. */}}
{{- define "tracewarden.check" -}}
{{- if not .Values.image }}
{{- fail "image: expected where you pushed the image, found nothing. Set it: --set image=oci://REGISTRY/tracewarden:TAG" }}
{{- end }}
{{- if not .Values.digest }}
{{- fail "digest: expected the 64 hexadecimal digits of the image's digest, found nothing. `make image` prints it, and for a pushed image `skopeo inspect --raw docker://REGISTRY/tracewarden:TAG | sha256sum`. Set it: --set digest=DIGEST" }}
{{- end }}
{{- if and .Values.selector .Values.targetRefs }}
{{- fail "selector, targetRefs: expected one of them, found both. Leave one out" }}
{{- end }}
{{- end }}

{{/* Puts a user's values into a document of a case. */}}
{{- define "tracewarden.document" -}}
{{- $spec := .document.spec }}
{{- $_ := set .document.metadata "name" (.document.metadata.name | replace "tracewarden" .values.name) }}
{{- if and .values.selector $spec.targetRefs }}
{{- fail "selector: expected targetRefs, since a waypoint ignores a selector. Set targetRefs" }}
{{- end }}
{{- if or .values.selector .values.targetRefs }}
{{- $_ := unset (unset $spec "selector") "targetRefs" }}
{{- include "tracewarden.merge" (dict "into" $spec "over" (pick .values "selector" "targetRefs")) }}
{{- end }}
{{- if has .document.kind (list "WasmPlugin" "TrafficExtension") }}
{{- include "tracewarden.module" (dict "module" ($spec.wasm | default $spec) "sidecar" $spec.match "values" .values) }}
{{- end }}
{{- toYaml .document }}
{{- end }}

{{/* Puts a user's values into the part of a plugin that says what it loads, and how that is configured. */}}
{{- define "tracewarden.module" -}}
{{- $_ := set .module "url" .values.image }}
{{- $_ := set .module "sha256" .values.digest }}
{{- include "tracewarden.merge" (dict "into" .module "over" (pick .values "imagePullPolicy" "imagePullSecret" "failStrategy")) }}
{{- range .module.vmConfig.env }}
{{- if and $.values.onBadConfig (eq .name "TRACEWARDEN_ON_BAD_CONFIG") }}
{{- $_ := set . "value" $.values.onBadConfig }}
{{- end }}
{{- end }}
{{- range .values.hostEnvironment }}
{{- $_ := set $.module.vmConfig "env" (append $.module.vmConfig.env (dict "name" . "valueFrom" "HOST")) }}
{{- end }}
{{- include "tracewarden.configuration" (dict "configuration" .module.pluginConfig "sidecar" .sidecar "values" .values) }}
{{- end }}

{{/* Puts a user's values into the filter's own configuration. */}}
{{- define "tracewarden.configuration" -}}
{{- $direction := .configuration.direction }}
{{- if .values.collector }}
{{- if not .configuration.export }}
{{- fail (printf "collector: expected a case with spans, found case %s. Set case to sidecar-spans or ingress-spans, or export in config" .values.case) }}
{{- end }}
{{- $_ := set .configuration.export.otlp "cluster" .values.collector }}
{{- end }}
{{- $fields := pick .values "mode" "role" "direction" "sampling" "trust" "correlation" }}
{{- include "tracewarden.merge" (dict "into" .configuration "over" $fields) }}
{{- include "tracewarden.merge" (dict "into" .configuration "over" .values.config) }}
{{- if and .sidecar (ne .configuration.direction $direction) }}
{{- fail (printf "direction: expected none in case %s, found %s. Leave it out: a sidecar has a plugin for each direction" .values.case .configuration.direction) }}
{{- end }}
{{- end }}

#!/usr/bin/env bash
# Tracewarden in a cluster of kind, with Istio's own proxies, sidecars and a waypoint. It has not run yet.
#
# Needs docker, kind, kubectl, skopeo, and what `make image target/programs/istioctl` makes. The cluster and the registry are its own, and
# are deleted in the end. ISTIO_HUB and ISTIO_TAG name Istio's images.
set -euo pipefail
cd "$(dirname "$0")/../.."

CLUSTER=tracewarden
REGISTRY=tracewarden-registry
ISTIO_HUB=${ISTIO_HUB:-istio}
ISTIO_TAG=${ISTIO_TAG:-1.31.0}
work=$(mktemp -d)
export KUBECONFIG=$work/kubeconfig

end() {
    status=$?
    if [ "$status" != 0 ]; then
        kubectl get pods,gateways,wasmplugins --all-namespaces || true
        kubectl logs --namespace istio-system deployment/istiod --tail 100 || true
    fi
    kind delete cluster --name "$CLUSTER" || true
    docker rm --force "$REGISTRY" || true
    rm -r "$work"
    exit "$status"
}
trap end EXIT

kind create cluster --name "$CLUSTER" --wait 180s
docker run --detach --name "$REGISTRY" --network kind --publish 127.0.0.1:0:5000 registry:2
published=$(docker port "$REGISTRY" 5000/tcp)
address=$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$REGISTRY"):5000
skopeo copy --preserve-digests --dest-tls-verify=false oci:target/image/compat "docker://$published/tracewarden:kind"

# Istio's API of gateways is a module of its own.
gateway_api=$(cd make/programs/istio && go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
kubectl apply --server-side --filename "$gateway_api/config/crd/standard"
kubectl kustomize envoy/istio/mesh >"$work/mesh.yaml"
target/programs/istioctl install --skip-confirmation --filename "$work/mesh.yaml" --set profile=ambient \
    --set "hub=$ISTIO_HUB" --set "tag=$ISTIO_TAG" --set "meshConfig.defaultConfig.proxyMetadata.WASM_INSECURE_REGISTRIES=$address"

# The applications are those of the tests in the local Istio, once with sidecars and once behind a waypoint.
kubectl apply --filename tests/kind/namespaces.yaml
for namespace in sidecars ambient; do
    kubectl create configmap application --namespace "$namespace" --from-file=envoy/local/application.py
    kubectl apply --namespace "$namespace" --filename tests/kind/workloads.yaml
done
for namespace in sidecars ambient; do
    kubectl wait --namespace "$namespace" --for=condition=Available --timeout=300s deployment --all
done
kubectl wait --namespace ambient --for=condition=Programmed --timeout=300s gateway/waypoint

IMAGE="oci://$address/tracewarden:kind" python3 -B -m unittest discover --verbose --start-directory tests/kind

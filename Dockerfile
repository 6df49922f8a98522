# An image that holds the program and nothing else: no shell, no libraries, no root.
#
#   docker build --build-arg VERSION=$(cat VERSION) --build-arg REVISION=$(git rev-parse --short HEAD) -t gitlab-metrics-exporter .
#   docker run --rm --read-only --cap-drop=ALL --user "$(id -u shop):$(id -g shop)" -p 127.0.0.1:8083:8083 \
#     -v /run/shop:/run/shop:ro gitlab-metrics-exporter --mmap.dir=/run/shop/metrics
#
# It needs BuildKit, which is Docker's builder since version 23, or podman or buildah. How
# it runs beside an application: deploy/README.md.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY cmd cmd
COPY internal internal
ARG TARGETOS TARGETARCH VERSION=unknown REVISION=unknown BRANCH=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w \
      -X github.com/prometheus/common/version.Version=$VERSION \
      -X github.com/prometheus/common/version.Revision=$REVISION \
      -X github.com/prometheus/common/version.Branch=$BRANCH" \
      -o /gitlab-metrics-exporter ./cmd/gitlab-metrics-exporter

FROM scratch
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="gitlab-metrics-exporter" \
      org.opencontainers.image.description="Serves the metrics of a multi-process application to Prometheus" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
COPY --from=build --chmod=0755 /gitlab-metrics-exporter /gitlab-metrics-exporter
COPY --chmod=0644 LICENSE /LICENSE
# In a container localhost is reached by nobody else, and its name may not be known. The
# directory has the application's variable, not GME_MMAP_METRICS_DIR, which would win over it.
ENV GME_SERVER_HOST=* \
    PROMETHEUS_MULTIPROC_DIR=/metrics
# Whoever runs it gives it the application's user: --user, runAsUser.
USER 65532:65532
EXPOSE 8083
ENTRYPOINT ["/gitlab-metrics-exporter"]

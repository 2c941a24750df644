# The image: /ottla (broker and command line) and /ottla-operator, both static, in nothing else.
#
#   docker build -t ottla .
#   docker build -t ottla --build-arg BUILD_IMAGE=my-rust .      any image with a Rust toolchain and a C compiler
#   docker run --rm -p 9092:9092 ottla broker --listen 0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://localhost:9092
#
# Nothing of the build image is in the result.
ARG BUILD_IMAGE=rust:1.95-bookworm

FROM ${BUILD_IMAGE} AS build
ARG COMMIT=unknown
WORKDIR /src
COPY . .
RUN OTTLA_COMMIT=${COMMIT} sh packaging/build /out

FROM scratch
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="Ottla" \
      org.opencontainers.image.description="A replicated log for Kubernetes that speaks Kafka's protocol: broker, tools and operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ottla/ottla" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /out/ /
COPY --from=build --chown=65532:65532 /out/var/lib/ottla /var/lib/ottla
ENV PATH=/
USER 65532:65532
EXPOSE 9092 9644
ENTRYPOINT ["/ottla"]
CMD ["broker", "--listen", "0.0.0.0:9092", "--http", "0.0.0.0:9644", "--data-dir", "/var/lib/ottla"]

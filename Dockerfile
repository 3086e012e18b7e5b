# The node with the example's functions. To run it with a configuration of your own, mount a folder
# over /etc/aegis; backends on 127.0.0.1 are those inside the container.

FROM rust:1.95-bookworm AS builder
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add wasm32-unknown-unknown
WORKDIR /src
COPY . .
RUN make build example

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 aegis \
    && useradd --uid 10001 --gid aegis --no-create-home --shell /usr/sbin/nologin aegis \
    && install -d -o aegis -g aegis /var/cache/aegis
COPY --from=builder /src/target/release/aegis /usr/local/bin/aegis
COPY --from=builder /src/proxy-config.toml /etc/aegis/
# The second wall is part of the package; the build fails if the key is not there to be turned on.
RUN sed -i 's/^#sandbox = false /sandbox = true   /' /etc/aegis/proxy-config.toml \
    && grep -q '^sandbox = true ' /etc/aegis/proxy-config.toml
# Where the configuration, which otherwise stays as it is, looks for it.
COPY --from=builder \
    /src/wasm-edge-function-example/target/wasm32-unknown-unknown/release/aegis_edge_function_example.wasm \
    /etc/aegis/wasm-edge-function-example/target/wasm32-unknown-unknown/release/
# By number, so that Kubernetes can see it is not root.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["aegis"]
CMD ["run", "-c", "/etc/aegis/proxy-config.toml"]

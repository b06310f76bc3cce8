# One image for operator and relay: "operator" and "relay" are verbs of its entrypoint. Nothing is built here: Node runs
# the sources as they are, outside node_modules, where type stripping works. "make image" builds it without a registry;
# a plain build wants "npm ci --omit=dev" first. Node comes out of one image and stands on a small one: the rest of Node's
# own image is larger than all of this. Nothing that is copied is for one kind of processor.
ARG NODE_IMAGE=docker.io/library/node:26.10.0-slim
ARG BASE=gcr.io/distroless/cc-debian13
FROM ${NODE_IMAGE} AS node
# The small base has all libraries that Node names but this one.
RUN ["node", "-e", "fs.mkdirSync('/libraries'); fs.copyFileSync(process.report.getReport().sharedObjects.find((path) => path.includes('/libatomic.')), '/libraries/libatomic.so.1')"]

FROM ${BASE}
LABEL org.opencontainers.image.title="mailrelay" \
      org.opencontainers.image.description="Operator and relay for TLS-enabled SMTP relays on Kubernetes" \
      org.opencontainers.image.url="https://mailrelay.dev" \
      org.opencontainers.image.documentation="https://mailrelay.dev/docs" \
      org.opencontainers.image.vendor="The mailrelay maintainers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
WORKDIR /app
ENV NODE_ENV=production
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /libraries/ /usr/lib/
COPY package.json package-lock.json LICENSE /app/
COPY node_modules /app/node_modules
COPY crds /app/crds
COPY relay /app/relay
COPY operator /app/operator
COPY cli /app/cli
# Compiled once, for all starts: half the time and half the memory. Node keeps such a cache by user.
RUN ["node", "-e", "fs.mkdirSync('/app/.compiled'); fs.chownSync('/app/.compiled', 65532, 65532)"]
# For people inside: kubectl exec POD -- mailrelay queue list
RUN ["node", "-e", "fs.writeFileSync('/usr/local/bin/mailrelay', `#!${process.execPath}\nimport('/app/cli/main.ts');\n`, { mode: 0o755 })"]
USER 65532:65532
ENV NODE_COMPILE_CACHE=/app/.compiled
RUN ["node", "/app/cli/compile.ts"]
ENTRYPOINT ["node", "/app/cli/main.ts"]

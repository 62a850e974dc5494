# The image for manifests of kube-vip: docker build -t kube-vip .   (amd64 or arm64)
FROM node:24.21.0-bookworm AS build
WORKDIR /kube-vip
COPY . .
RUN npm ci && npm run build && cp node_modules/node-linux-*/bin/node dist/node

FROM debian:bookworm-slim
COPY --from=build /kube-vip/bin /kube-vip/bin
COPY --from=build /kube-vip/dist /kube-vip/dist
ENTRYPOINT ["/kube-vip/bin/kube-vip"]

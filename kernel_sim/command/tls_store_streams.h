// TlsStoreStreams: the connections of a context store over TLS, made by the client path that every
// other client here uses.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "kernel_sim/command/credentials.h"
#include "kernel_sim/context_store/redis_stream.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::command {

class TlsStoreStreams final : public context_store::RedisStreams {
 public:
  // `host` is what the server's certificate must name; `ca_file` (PEM) has the trust anchors,
  // empty: the system's. Null: `*error` says why. Passive level; the library is started.
  static std::unique_ptr<TlsStoreStreams> Start(const std::string& host, const std::string& ca_file,
                                                std::string* error);
  // The store that uses the streams has stopped; streams may outlive this, if nothing is called on
  // them. Passive level, before the library stops.
  ~TlsStoreStreams();
  TlsStoreStreams(const TlsStoreStreams&) = delete;
  TlsStoreStreams& operator=(const TlsStoreStreams&) = delete;

  std::unique_ptr<context_store::RedisStream> Make(
      io::Loop& loop, context_store::RedisStreamHandler& handler) override;

 private:
  TlsStoreStreams(Credential credential, transport::TlsProfile profile)
      : credential_(std::move(credential)), profile_(std::move(profile)) {}

  const Credential credential_;
  const transport::TlsProfile profile_;
  transport::ClientPath path_;
};

}  // namespace ktlsim::command

// AdminServer: HTTP for operators, without TLS and without authentication, on a thread and sockets
// of its own. No processor does anything for it, and nobody waits for it.
//
// Whatever a client sends costs bounded memory and time: there are few connections, requests are
// read by the reader of the other HTTP (http_request_reader.h) with low limits, bodies are refused,
// and a slow client is closed. While all connections are in use, the longest idle one makes room,
// or new ones wait in the backlog.
//
// What a newcomer gets wrong: the thread runs at a lower priority (nice), so that a machine which
// is busy serving answers operators late, and not the other way round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/address.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::serve {

struct AdminResponse {
  unsigned status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string_view fields = "";                       // further whole lines, each with its CRLF
  std::shared_ptr<const std::string> body = nullptr;  // null: empty
};

// What there is to see. Called on the server's thread, at passive level.
class AdminPages {
 public:
  // `path`: without the query. An exception becomes 503.
  virtual AdminResponse Get(std::string_view path) = 0;
  // Whether somebody may ask who knows this server by the name `host`, the value of the field Host,
  // whose form has been checked; empty: HTTP/1.0 without one. False becomes 403.
  virtual bool Admits(std::string_view host) = 0;

 protected:
  ~AdminPages() = default;
};

struct AdminLimits {
  int connections_max = 16;
  std::size_t head_bytes_max = 8 * 1024;
  std::uint64_t request_ns = 5 * kNsPerSecond;    // from accepting, or a request's first byte
  std::uint64_t response_ns = 10 * kNsPerSecond;  // until the client has taken all of it
  std::uint64_t idle_ns = 75 * kNsPerSecond;      // between requests
};

class AdminServer {
 public:
  // Listens on `address`, which is no Unix-domain one. `pages` must outlive the server. Passive
  // level. kIo with the errno value; kResource: no memory or no thread.
  static Result<std::unique_ptr<AdminServer>> Start(const io::Address& address, AdminPages& pages,
                                                    const AdminLimits& limits = {});
  // Ends the thread, and every connection.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  const io::Address& bound() const;

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ktlsim::serve

// AdminConnection: one connection of the admin server: bytes in, responses out, and until when it
// may take for what it does.
//
// Private to serve/. The server's thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>

#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/serve/admin_server.h"
#include "kernel_sim/serve/http_request_reader.h"

namespace ktlsim::serve {

class AdminConnection {
 public:
  // `socket` is nonblocking; taken over. Both others must outlive it.
  AdminConnection(int socket, const AdminLimits& limits, const HttpRequestLimits& request_limits,
                  std::uint64_t now_ns)
      : limits_(limits),
        socket_(socket),
        reader_(request_limits, nullptr, &host_),
        deadline_ns_(now_ns + limits.request_ns) {}

  int socket() const { return socket_.number(); }
  // What to wait for: POLLIN or POLLOUT.
  short events() const;
  std::uint64_t deadline_ns() const { return deadline_ns_; }
  // Nothing is lost without it: it has been served, and nothing of another request has come.
  bool idle() const {
    return state_ == State::kClosing || (state_ == State::kReading && served_ && !begun_);
  }

  // The socket is ready. False: the connection is over.
  bool GoOn(AdminPages& pages, std::uint64_t now_ns);

 private:
  enum class State : std::uint8_t {
    kReading,
    kWriting,
    kClosing,  // the response is out, and FIN: what the peer still sends is dropped until its FIN
  };
  // A reset would take back a response that the peer has not read yet.
  static constexpr std::uint64_t kLingerNs = kNsPerSecond;

  bool ReadSome(AdminPages& pages, std::uint64_t now_ns);
  // What has been received and not been read; it may hold several requests.
  bool TakeRequests(AdminPages& pages, std::uint64_t now_ns);
  AdminResponse ResponseFor(const HttpRequest& request, AdminPages& pages) const;
  void Respond(const AdminResponse& response, bool head_only, bool keep_alive,
               std::uint64_t now_ns);
  void Refuse(unsigned status, std::uint64_t now_ns);
  bool WriteSome(std::uint64_t now_ns);
  bool DropSome();

  const AdminLimits& limits_;
  Descriptor socket_;
  std::string host_;  // of the request
  HttpRequestReader reader_;
  std::uint64_t deadline_ns_;
  State state_ = State::kReading;
  bool served_ = false;  // one request or more
  bool begun_ = false;   // something of the next request has come
  bool close_ = false;   // after the response
  std::array<std::byte, 4096> input_{};
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::string head_;                         // and what else goes out before `body_`
  std::shared_ptr<const std::string> body_;  // null: none
  std::size_t sent_ = 0;                     // of both
};

}  // namespace ktlsim::serve

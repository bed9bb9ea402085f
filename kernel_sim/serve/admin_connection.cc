#include "kernel_sim/serve/admin_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <exception>

#include "kernel_sim/serve/http_response.h"

namespace ktlsim::serve {
namespace {

using Outcome = HttpRequestReader::Outcome;

AdminResponse Ask(AdminPages& pages, std::string_view path) {
  try {
    return pages.Get(path);
  } catch (const std::exception&) {
    return {.status = 503};
  }
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

short AdminConnection::events() const { return state_ == State::kWriting ? POLLOUT : POLLIN; }

bool AdminConnection::GoOn(AdminPages& pages, std::uint64_t now_ns) {
  switch (state_) {
    case State::kReading:
      return ReadSome(pages, now_ns);
    case State::kWriting:
      // Requests may have come meanwhile.
      return WriteSome(now_ns) && (state_ != State::kReading || TakeRequests(pages, now_ns));
    case State::kClosing:
      return DropSome();
  }
  return false;
}

bool AdminConnection::ReadSome(AdminPages& pages, std::uint64_t now_ns) {
  const ssize_t got = recv(socket(), input_.data(), input_.size(), 0);
  if (got < 0) return WouldBlock();
  if (got == 0) return false;
  input_begin_ = 0;
  input_end_ = static_cast<std::size_t>(got);
  return TakeRequests(pages, now_ns);
}

bool AdminConnection::TakeRequests(AdminPages& pages, std::uint64_t now_ns) {
  while (state_ == State::kReading && input_begin_ < input_end_) {
    if (served_ && !begun_) deadline_ns_ = now_ns + limits_.request_ns;
    begun_ = true;
    std::size_t consumed = 0;
    const Outcome outcome =
        reader_.Read(std::span(input_).subspan(input_begin_, input_end_ - input_begin_), &consumed);
    input_begin_ += consumed;
    switch (outcome) {
      case Outcome::kNeedMore:
        break;
      case Outcome::kContinue:
        Refuse(413, now_ns);
        break;
      case Outcome::kRefused:
        Refuse(reader_.refusal(), now_ns);
        break;
      case Outcome::kRequest: {
        const HttpRequest& request = reader_.request();
        Respond(ResponseFor(request, pages), request.method == HttpMethod::kHead,
                request.keep_alive && !request.version_1_0, now_ns);
        break;
      }
    }
    if (state_ == State::kWriting && !WriteSome(now_ns)) return false;
  }
  return true;
}

AdminResponse AdminConnection::ResponseFor(const HttpRequest& request, AdminPages& pages) const {
  if (!pages.Admits(host_)) return {.status = 403};
  if (request.method != HttpMethod::kGet && request.method != HttpMethod::kHead) {
    return {.status = 405, .fields = "Allow: GET, HEAD\r\n"};
  }
  return Ask(pages, request.path());
}

void AdminConnection::Refuse(unsigned status, std::uint64_t now_ns) {
  Respond({.status = status}, /*head_only=*/false, /*keep_alive=*/false, now_ns);
}

void AdminConnection::Respond(const AdminResponse& response, bool head_only, bool keep_alive,
                              std::uint64_t now_ns) {
  std::array<char, kHttpHeadBytesMax> head;
  const std::size_t bytes =
      FormatHttpHead({.status = response.status,
                      .body_bytes = response.body != nullptr ? response.body->size() : 0,
                      .close = !keep_alive,
                      .date = std::time(nullptr),
                      .content_type = response.content_type,
                      .fields = response.fields,
                      .authentication_info = {}},
                     head);
  head_.assign(head.data(), bytes);
  body_ = head_only ? nullptr : response.body;
  close_ = !keep_alive;
  sent_ = 0;
  served_ = true;
  begun_ = false;
  state_ = State::kWriting;
  deadline_ns_ = now_ns + limits_.response_ns;
}

bool AdminConnection::WriteSome(std::uint64_t now_ns) {
  const std::size_t body_bytes = body_ != nullptr ? body_->size() : 0;
  while (sent_ < head_.size() + body_bytes) {
    const std::string_view rest = sent_ < head_.size()
                                      ? std::string_view(head_).substr(sent_)
                                      : std::string_view(*body_).substr(sent_ - head_.size());
    const bool more = sent_ < head_.size() && body_bytes != 0;
    const ssize_t sent =
        send(socket(), rest.data(), rest.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent < 0) return WouldBlock();
    sent_ += static_cast<std::size_t>(sent);
  }
  body_.reset();
  if (!close_) {
    state_ = State::kReading;
    deadline_ns_ = now_ns + limits_.idle_ns;
    return true;
  }
  state_ = State::kClosing;
  deadline_ns_ = now_ns + kLingerNs;
  return shutdown(socket(), SHUT_WR) == 0;
}

bool AdminConnection::DropSome() {
  const ssize_t got = recv(socket(), input_.data(), input_.size(), 0);
  return got > 0 || (got < 0 && WouldBlock());
}

}  // namespace ktlsim::serve

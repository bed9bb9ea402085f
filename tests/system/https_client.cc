#include "tests/system/https_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace ktlsim::system_tests {
namespace {

// For a server that was killed in the middle of a response and left the connection open.
constexpr timeval kLimit = {.tv_sec = 30, .tv_usec = 0};

std::string RequestText(const std::string& target, const std::string& authorization) {
  std::string text = "GET ";
  text.append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
  if (!authorization.empty()) {
    text.append("Authorization: Digest ").append(authorization).append("\r\n");
  }
  return text.append("\r\n");
}

// The value of the first field of this name, which is written as the server writes it.
std::string_view FieldOf(std::string_view head, std::string_view name) {
  const std::size_t at = head.find(name);
  if (at == std::string_view::npos) return {};
  head.remove_prefix(at + name.size());
  return head.substr(0, head.find('\r'));
}

int StatusOf(const std::string& head) {
  return head.starts_with("HTTP/1.1 ") ? std::atoi(head.c_str() + 9) : 0;
}

}  // namespace

HttpsClient::HttpsClient() : context_(SSL_CTX_new(TLS_client_method())) {
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
}

HttpsClient::Response HttpsClient::Get(int port, const std::string& target,
                                       const std::string& authorization) {
  std::string head;
  // A kept connection may have ended meanwhile; the request is sent once all the same.
  if (!Connect(port) || !Send(RequestText(target, authorization)) || !Read(&head)) {
    Close();
    return {};
  }
  Response response = {.status = StatusOf(head), .challenge = {}};
  response.challenge = FieldOf(head, "\r\nWWW-Authenticate: Digest ");
  return response;
}

std::size_t HttpsClient::GetMany(int port, const std::string& target, int status,
                                 std::size_t count) {
  const std::string one = RequestText(target, "");
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += one;
  if (!Connect(port) || !Send(all)) return 0;
  std::string head;
  for (std::size_t i = 0; i < count; ++i) {
    if (Read(&head) && StatusOf(head) == status) continue;
    Close();
    return i;
  }
  return count;
}

void HttpsClient::Close() {
  ssl_.reset();
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  unread_.clear();
}

bool HttpsClient::Connect(int port) {
  if (ssl_ != nullptr && port_ == port) return true;
  Close();
  port_ = port;
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kLimit, sizeof(kLimit));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kLimit, sizeof(kLimit));
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) return false;
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), socket_);
  return SSL_connect(ssl_.get()) == 1;
}

bool HttpsClient::Send(std::string_view text) {
  return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
         static_cast<int>(text.size());
}

bool HttpsClient::Read(std::string* head) {
  std::size_t end = 0;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore()) return false;
  }
  *head = unread_.substr(0, end + 4);
  unread_.erase(0, end + 4);
  const std::string length(FieldOf(*head, "\r\nContent-Length: "));
  const auto body = static_cast<std::size_t>(std::atoll(length.c_str()));
  while (unread_.size() < body) {
    if (!ReadMore()) return false;
  }
  unread_.erase(0, body);
  if (head->find("\r\nConnection: close") != std::string::npos) Close();
  return true;
}

bool HttpsClient::ReadMore() {
  std::array<char, 16'384> block;
  const int size = SSL_read(ssl_.get(), block.data(), static_cast<int>(block.size()));
  if (size <= 0) return false;
  unread_.append(block.data(), static_cast<std::size_t>(size));
  return true;
}

}  // namespace ktlsim::system_tests

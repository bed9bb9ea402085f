#include "kernel_sim/command/stress/wire_client.h"

#include <ktlsim/sspi_ext.h>
#include <poll.h>
#include <schannel.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {
namespace {

constexpr int kPatienceMs = 20000;
constexpr std::size_t kTokenMax = 17 * 1024;

}  // namespace

WireClient::WireClient(const io::Address& peer, int receive_bytes) {
  SecInvalidateHandle(&context_);
  descriptor_ = socket(peer.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return;
  if (receive_bytes != 0) {
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
  }
  const timeval patience{kPatienceMs / 1000, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(descriptor_, peer.data(), peer.size()) == 0) return;
  close(descriptor_);
  descriptor_ = -1;
}

WireClient::~WireClient() {
  if (SecIsValidHandle(&context_)) static_cast<void>(DeleteSecurityContext(&context_));
  if (descriptor_ >= 0) close(descriptor_);
}

bool WireClient::SendRaw(std::span<const unsigned char> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool WireClient::Trickle(std::span<const unsigned char> bytes, std::uint64_t gap_us) {
  for (const unsigned char& each : bytes) {
    if (!SendRaw({&each, 1})) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(gap_us));
  }
  return true;
}

WireClient::Read WireClient::ReceiveSome(int timeout_ms, std::size_t bytes_max) {
  pollfd waiting{descriptor_, POLLIN, 0};
  if (poll(&waiting, 1, timeout_ms) != 1) return Read::kTimeout;
  const std::size_t before = inbox_.size();
  inbox_.resize(before + bytes_max);
  const ssize_t received = recv(descriptor_, inbox_.data() + before, bytes_max, 0);
  inbox_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
  return received > 0 ? Read::kSome : Read::kEnd;
}

bool WireClient::DrainToEnd(int timeout_ms) {
  const std::uint64_t end =
      MonotonicClock::Now() + static_cast<std::uint64_t>(timeout_ms) * kNsPerMs;
  while (MonotonicClock::Now() < end) {
    inbox_.clear();
    switch (ReceiveSome(timeout_ms)) {
      case Read::kSome:
        continue;
      case Read::kEnd:
        return true;
      case Read::kTimeout:
        return false;
    }
  }
  return false;
}

void WireClient::ShutdownSend() { shutdown(descriptor_, SHUT_WR); }

void WireClient::Reset() {
  const linger now{1, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(std::exchange(descriptor_, -1));
}

// The whole inbox goes in; bytes that are not consumed stay in it.
WireBytes WireClient::Leg(bool first) {
  WireBytes output(kTokenMax);
  std::array<SecBuffer, 2> in = {
      {{static_cast<ULONG>(inbox_.size()), SECBUFFER_TOKEN, inbox_.data()},
       {0, SECBUFFER_EMPTY, nullptr}}};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in.data()};
  SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;
  TimeStamp expiry{};
  char target[] = "localhost";
  status_ = InitializeSecurityContextA(
      &credential_, first ? nullptr : &context_, first ? target : nullptr,
      ISC_REQ_STREAM | ISC_REQ_EXTENDED_ERROR | ISC_REQ_USE_SUPPLIED_CREDS, 0, SECURITY_NATIVE_DREP,
      first ? nullptr : &in_desc, 0, &context_, &out_desc, &attributes, &expiry);
  if (status_ == SEC_E_INCOMPLETE_MESSAGE) return {};
  const std::size_t extra = in[1].BufferType == SECBUFFER_EXTRA ? in[1].cbBuffer : 0;
  inbox_.erase(inbox_.begin(), inbox_.end() - static_cast<std::ptrdiff_t>(extra));
  output.resize(out.cbBuffer);
  return output;
}

WireBytes WireClient::Hello(const CredHandle& credential) {
  credential_ = credential;
  WireBytes hello = Leg(/*first=*/true);
  if (status_ != SEC_I_CONTINUE_NEEDED) hello.clear();
  return hello;
}

bool WireClient::FinishHandshake() {
  while (status_ == SEC_I_CONTINUE_NEEDED || status_ == SEC_E_INCOMPLETE_MESSAGE) {
    if (inbox_.empty() || status_ == SEC_E_INCOMPLETE_MESSAGE) {
      ended_ = ReceiveSome(kPatienceMs) != Read::kSome;
      if (ended_) return false;
    }
    const WireBytes token = Leg(/*first=*/false);
    if (!token.empty() && !SendRaw(token)) {
      ended_ = true;
      return false;
    }
  }
  return status_ == SEC_E_OK;
}

WireBytes WireClient::Seal(std::span<const unsigned char> plaintext) {
  SecPkgContext_StreamSizes sizes{};
  status_ = QueryContextAttributesA(&context_, SECPKG_ATTR_STREAM_SIZES, &sizes);
  if (status_ != SEC_E_OK) return {};
  WireBytes record(sizes.cbHeader + plaintext.size() + sizes.cbTrailer);
  unsigned char* const data = record.data() + sizes.cbHeader;
  std::copy(plaintext.begin(), plaintext.end(), data);
  std::array<SecBuffer, 4> buffers = {
      {{sizes.cbHeader, SECBUFFER_STREAM_HEADER, record.data()},
       {static_cast<ULONG>(plaintext.size()), SECBUFFER_DATA, data},
       {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, data + plaintext.size()},
       {0, SECBUFFER_EMPTY, nullptr}}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
  status_ = EncryptMessage(&context_, 0, &message, 0);
  if (status_ != SEC_E_OK) return {};
  record.resize(buffers[0].cbBuffer + buffers[1].cbBuffer + buffers[2].cbBuffer);
  return record;
}

// ApplyControlToken, and the leg without input that makes its record.
WireBytes WireClient::Control(void* token, ULONG bytes) {
  SecBuffer buffer = {bytes, SECBUFFER_TOKEN, token};
  SecBufferDesc control = {SECBUFFER_VERSION, 1, &buffer};
  status_ = ApplyControlToken(&context_, &control);
  if (status_ != SEC_E_OK) return {};
  WireBytes kept = std::exchange(inbox_, {});
  WireBytes record = Leg(/*first=*/false);
  inbox_ = std::move(kept);
  return record;
}

WireBytes WireClient::CloseNotify() {
  DWORD type = SCHANNEL_SHUTDOWN;
  return Control(&type, sizeof(type));
}

WireBytes WireClient::KeyUpdate() {
  KtlsimControl_KeyUpdate update = {KTLSIM_CONTROL_KEY_UPDATE, 1};
  return Control(&update, sizeof(update));
}

// Opens one record of the inbox, and passes post-handshake messages on.
WireBytes WireClient::Open() {
  std::array<SecBuffer, 4> buffers = {
      {{static_cast<ULONG>(inbox_.size()), SECBUFFER_DATA, inbox_.data()},
       {0, SECBUFFER_EMPTY, nullptr},
       {0, SECBUFFER_EMPTY, nullptr},
       {0, SECBUFFER_EMPTY, nullptr}}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers.data()};
  status_ = DecryptMessage(&context_, &message, 0, nullptr);
  if (status_ == SEC_E_INCOMPLETE_MESSAGE) return {};
  WireBytes plaintext;
  if (status_ == SEC_E_OK) {
    const auto* const data = static_cast<unsigned char*>(buffers[1].pvBuffer);
    plaintext.assign(data, data + buffers[1].cbBuffer);
  }
  WireBytes rest;
  if (status_ >= 0 && buffers[3].BufferType == SECBUFFER_EXTRA) {
    const auto* const extra = static_cast<unsigned char*>(buffers[3].pvBuffer);
    rest.assign(extra, extra + buffers[3].cbBuffer);
  }
  inbox_ = std::move(rest);
  if (status_ != SEC_I_RENEGOTIATE) return plaintext;
  const WireBytes token = Leg(/*first=*/false);
  if (!token.empty()) static_cast<void>(SendRaw(token));
  return {};
}

WireBytes WireClient::Receive(std::size_t bytes_at_a_time) {
  status_ = SEC_E_OK;
  for (;;) {
    if (!inbox_.empty() && status_ != SEC_E_INCOMPLETE_MESSAGE) {
      WireBytes plaintext = Open();
      if (!plaintext.empty()) return plaintext;
      if (status_ != SEC_E_OK && status_ != SEC_E_INCOMPLETE_MESSAGE) return {};
      continue;
    }
    ended_ = ReceiveSome(kPatienceMs, bytes_at_a_time) != Read::kSome;
    if (ended_) return {};
    status_ = SEC_E_OK;
  }
}

}  // namespace ktlsim::command

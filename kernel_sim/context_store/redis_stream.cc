#include "kernel_sim/context_store/redis_stream.h"

#include <utility>

namespace ktlsim::context_store {

void PlainRedisStream::Connect(const io::Address& server) {
  words_ = "";
  ending_ = false;
  connector_.emplace(loop_, static_cast<io::ConnectHandler&>(*this)).Connect(server);
}

void PlainRedisStream::OnConnected(Status outcome, io::SocketId socket) {
  connector_.reset();
  if (ending_ || !outcome.ok()) {
    if (socket != io::kNoSocket) loop_.Close(socket, /*reset=*/true);
    handler_.OnStreamEnded(ending_ ? words_ : "the server cannot be connected to");
    return;
  }
  stream_.emplace(loop_, socket, static_cast<io::StreamHandler&>(*this));
  stream_->ResumeReceiving();
  handler_.OnStreamOpen();
}

bool PlainRedisStream::Send(std::span<const std::byte> bytes) {
  if (!ending_ && stream_) stream_->Send(bytes);
  return false;
}

void PlainRedisStream::OnReceived(io::BufferLease bytes) {
  if (!ending_) handler_.OnStreamBytes(bytes.bytes());
}

void PlainRedisStream::OnSent(Status outcome) {
  if (!outcome.ok()) {
    End("the connection to the server broke");
  } else if (!ending_) {
    handler_.OnStreamSent();
  }
}

void PlainRedisStream::OnReceiveEnded(Status reason) {
  End(reason.ok() ? "the server closed the connection" : "the connection to the server broke");
}

void PlainRedisStream::End(const char* words) {
  if ((!connector_ && !stream_) || std::exchange(ending_, true)) return;
  words_ = words;
  if (connector_) {
    connector_->Cancel();
  } else {
    stream_->Close(io::Stream::CloseMode::kReset);
  }
}

void PlainRedisStream::OnClosed() {
  stream_.reset();
  handler_.OnStreamEnded(words_);
}

}  // namespace ktlsim::context_store

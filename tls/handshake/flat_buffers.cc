#include "tls/handshake/flat_buffers.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include "tls/openssl_handles.h"
#include "tls/record/secret.h"

namespace ktlsim::tls {
namespace {

// A flight holds our own certificate chain and little else; nothing legitimate comes near this.
constexpr std::size_t kOutputBytesMax = 1 << 20;

}  // namespace

FlatBuffers::~FlatBuffers() { Wipe(std::span(output_)); }

BIO* FlatBuffers::NewBio() {
  const BIO_METHOD* method = Method();
  BIO* bio = method != nullptr ? BIO_new(method) : nullptr;
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

void FlatBuffers::DiscardOutput(std::size_t bytes) {
  output_start_ += std::min(bytes, output_.size() - output_start_);
  if (output_start_ == output_.size()) {
    output_.clear();
    output_start_ = 0;
  }
}

const BIO_METHOD* FlatBuffers::Method() {
  using MethodPtr = std::unique_ptr<BIO_METHOD, Deleter<&BIO_meth_free>>;
  static constinit std::atomic<BIO_METHOD*> kept{nullptr};
  if (const BIO_METHOD* method = kept.load(std::memory_order_acquire)) return method;
  MethodPtr made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "flat buffers"));
  if (made == nullptr || BIO_meth_set_read(made.get(), &Read) != 1 ||
      BIO_meth_set_write(made.get(), &Write) != 1 || BIO_meth_set_ctrl(made.get(), &Control) != 1) {
    return nullptr;  // asked for again the next time
  }
  BIO_METHOD* other = nullptr;
  if (!kept.compare_exchange_strong(other, made.get())) return other;
  return made.release();
}

int FlatBuffers::Read(BIO* bio, char* out, int size) {
  auto& input = static_cast<FlatBuffers*>(BIO_get_data(bio))->input_;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(static_cast<std::size_t>(size), input.size());
  std::copy_n(input.begin(), taken, reinterpret_cast<std::byte*>(out));
  input = input.subspan(taken);
  return static_cast<int>(taken);
}

int FlatBuffers::Write(BIO* bio, const char* data, int size) {
  auto& output = static_cast<FlatBuffers*>(BIO_get_data(bio))->output_;
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, static_cast<std::size_t>(size)));
  if (output.size() + bytes.size() > kOutputBytesMax) return -1;
  try {
    output.insert(output.end(), bytes.begin(), bytes.end());
  } catch (const std::bad_alloc&) {
    return -1;
  }
  return size;
}

long FlatBuffers::Control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace ktlsim::tls

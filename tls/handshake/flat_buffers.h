// FlatBuffers: what OpenSSL reads from and writes to instead of a socket. Private to this module.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <openssl/bio.h>

namespace ktlsim::tls {

class FlatBuffers {
 public:
  FlatBuffers() = default;
  // Wipes the output.
  ~FlatBuffers();
  FlatBuffers(const FlatBuffers&) = delete;
  FlatBuffers& operator=(const FlatBuffers&) = delete;

  // A BIO over these buffers, which must outlive it. The caller owns it. nullptr: out of memory.
  BIO* NewBio();

  // What OpenSSL reads next. Borrowed until the call that reads it has returned. After its last
  // byte a read fails with the BIO's retry flag.
  void SetInput(std::span<const std::byte> input) { input_ = input; }
  std::size_t input_left() const { return input_.size(); }

  // What OpenSSL has written and DiscardOutput has not removed; at most 1 MiB.
  std::span<const std::byte> output() const { return std::span(output_).subspan(output_start_); }
  void DiscardOutput(std::size_t bytes);

 private:
  static const BIO_METHOD* Method();
  static int Read(BIO* bio, char* out, int size);
  static int Write(BIO* bio, const char* data, int size);
  static long Control(BIO* bio, int command, long number, void* pointer);

  std::span<const std::byte> input_;
  std::vector<std::byte> output_;
  std::size_t output_start_ = 0;
};

}  // namespace ktlsim::tls

#include "tests/transport/framed_package.h"

#include <schannel.h>

#include <array>
#include <cstring>
#include <string_view>

#include "kernel_sim/sspi/packages/buffers.h"

namespace ktlsim::test {
namespace {

using sspi::BytesOf;
using sspi::Direction;
using sspi::FindBuffer;
using sspi::SetBuffer;

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kTrailerBytes = 4;
constexpr std::byte kAlert{0x15};
constexpr std::byte kHandshake{0x16};
constexpr std::byte kData{0x17};

void WriteHeader(std::span<std::byte> to, std::byte type, std::size_t fragment) {
  to[0] = type;
  to[1] = to[2] = std::byte{3};
  to[3] = static_cast<std::byte>(fragment >> 8);
  to[4] = static_cast<std::byte>(fragment & 0xff);
}

// The size of the record that `bytes` begins with; 0: it is not complete.
std::size_t RecordBytes(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes) return 0;
  const std::size_t size = kHeaderBytes + (std::to_integer<std::size_t>(bytes[3]) << 8) +
                           std::to_integer<std::size_t>(bytes[4]);
  return bytes.size() < size ? 0 : size;
}

std::uint32_t Sum(std::uint32_t sequence, std::span<const std::byte> bytes) {
  std::uint32_t sum = sequence;
  for (const std::byte byte : bytes) sum = sum * 31 + std::to_integer<std::uint32_t>(byte) + 1;
  return sum;
}

void Invert(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) byte = ~byte;
}

class FramedCredential final : public sspi::PackageCredential {
 public:
  FramedCredential(const FramedScript& script, Direction direction)
      : script_(script), direction_(direction) {}
  Direction direction() const override { return direction_; }
  const FramedScript& script() const { return script_; }

 private:
  const FramedScript& script_;
  const Direction direction_;
};

class FramedContext final : public sspi::PackageContext {
 public:
  FramedContext(const FramedScript& script, Direction direction)
      : script_(script), server_(direction == Direction::kInbound) {}

  sspi::LegResult Leg(const sspi::LegArguments& arguments) override {
    sspi::LegResult result;
    SecBuffer* token = FindBuffer(arguments.output, SECBUFFER_TOKEN);
    if (established_) {  // no alert and nothing else
      if (token != nullptr) token->cbBuffer = 0;
      result.status = SEC_E_OK;
      return result;
    }
    if (arguments.call->run == sspi::CallRun::kStopping) {
      result.status = SEC_E_SHUTDOWN_IN_PROGRESS;
      return result;
    }
    if (arguments.call->run == sspi::CallRun::kFirst && script_.suspends()) {
      script_.suspended(arguments.call->Token());
      result.suspended = true;
      return result;
    }
    result.status = Feed(arguments.input);
    if (result.status == SEC_E_OK) result.status = Answer(token);
    established_ = result.established =
        result.status == SEC_E_OK || result.status == SEC_I_COMPLETE_NEEDED;
    return result;
  }

  sspi::CallResult CompleteAuthToken(sspi::PackageCall& /*call*/, SecBufferDesc& token) override {
    Invert(BytesOf(FindBuffer(&token, SECBUFFER_TOKEN)));
    return sspi::CallResult::Done(SEC_E_OK);
  }

  SECURITY_STATUS Query(const sspi::AttributeQuery& query) override {
    void* const buffer = query.buffer;
    switch (query.attribute) {
      case SECPKG_ATTR_STREAM_SIZES:
        *static_cast<SecPkgContext_StreamSizes*>(buffer) = {.cbHeader = kHeaderBytes,
                                                            .cbTrailer = kTrailerBytes,
                                                            .cbMaximumMessage = 16384,
                                                            .cBuffers = 4,
                                                            .cbBlockSize = 1};
        return SEC_E_OK;
      case SECPKG_ATTR_CONNECTION_INFO:
        *static_cast<SecPkgContext_ConnectionInfo*>(buffer) = {};
        static_cast<SecPkgContext_ConnectionInfo*>(buffer)->dwProtocol =
            server_ ? SP_PROT_TLS1_3_SERVER : SP_PROT_TLS1_3_CLIENT;
        return SEC_E_OK;
      default:
        return SEC_E_UNSUPPORTED_FUNCTION;
    }
  }

  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG) override {
    const std::span<std::byte> header = BytesOf(FindBuffer(&message, SECBUFFER_STREAM_HEADER));
    const std::span<std::byte> data = BytesOf(FindBuffer(&message, SECBUFFER_DATA));
    const std::span<std::byte> trailer = BytesOf(FindBuffer(&message, SECBUFFER_STREAM_TRAILER));
    if (header.size() < kHeaderBytes || trailer.size() < kTrailerBytes) return SEC_E_INVALID_TOKEN;
    WriteHeader(header, qop == SECQOP_WRAP_OOB_DATA ? kAlert : kData, data.size() + kTrailerBytes);
    const std::uint32_t sum = Sum(sealed_++, data);
    Invert(data);
    std::memcpy(trailer.data(), &sum, kTrailerBytes);
    return SEC_E_OK;
  }

  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG, ULONG* qop) override {
    *qop = 0;
    SecBuffer* const buffers = message.pBuffers;
    const std::span<std::byte> wire = BytesOf(FindBuffer(&message, SECBUFFER_DATA));
    const std::size_t size = RecordBytes(wire);
    if (size == 0) return SEC_E_INCOMPLETE_MESSAGE;
    if (size < kHeaderBytes + kTrailerBytes) return SEC_E_MESSAGE_ALTERED;
    const std::span<std::byte> data =
        wire.subspan(kHeaderBytes, size - kHeaderBytes - kTrailerBytes);
    const std::span<std::byte> trailer = wire.subspan(size - kTrailerBytes, kTrailerBytes);
    Invert(data);
    const std::uint32_t sum = Sum(opened_++, data);
    if (std::memcmp(trailer.data(), &sum, kTrailerBytes) != 0) return SEC_E_MESSAGE_ALTERED;
    const bool closes = wire[0] == kAlert;
    SetBuffer(buffers[0], SECBUFFER_STREAM_HEADER, wire.first(kHeaderBytes));
    SetBuffer(buffers[1], SECBUFFER_DATA, data);
    SetBuffer(buffers[2], SECBUFFER_STREAM_TRAILER, trailer);
    if (size < wire.size()) {
      SetBuffer(buffers[3], SECBUFFER_EXTRA, wire.subspan(size));
    } else {
      SetBuffer(buffers[3], SECBUFFER_EMPTY, {});
    }
    return closes ? SEC_I_CONTEXT_EXPIRED : SEC_E_OK;
  }

 private:
  // The message that this end must receive before its leg number `legs_`; empty: none.
  std::string_view Expected() const {
    if (server_) return legs_ == 0 ? "hello" : "finished";
    return legs_ == 0 ? "" : "welcome";
  }
  std::string_view Said() const {
    if (server_) return legs_ == 0 ? "welcome" : "";
    return legs_ == 0 ? "hello" : "finished";
  }

  // Takes the first record of the input; the rest is EXTRA.
  SECURITY_STATUS Feed(PSecBufferDesc input) {
    const std::string_view expected = Expected();
    if (expected.empty()) return SEC_E_OK;
    const std::span<std::byte> bytes = BytesOf(FindBuffer(input, SECBUFFER_TOKEN));
    const std::size_t size = RecordBytes(bytes);
    if (size == 0) return SEC_E_INCOMPLETE_MESSAGE;
    if (bytes[0] != kHandshake || size != kHeaderBytes + expected.size() ||
        std::memcmp(bytes.data() + kHeaderBytes, expected.data(), expected.size()) != 0) {
      return SEC_E_INVALID_TOKEN;
    }
    if (SecBuffer* rest = FindBuffer(input, SECBUFFER_EMPTY); rest != nullptr) {
      if (size < bytes.size()) SetBuffer(*rest, SECBUFFER_EXTRA, bytes.subspan(size));
    }
    return SEC_E_OK;
  }

  SECURITY_STATUS Answer(SecBuffer* token) {
    const std::string_view said = Said();
    const bool ends = legs_++ == 1;
    if (token == nullptr || token->cbBuffer < kHeaderBytes + said.size()) {
      return SEC_E_INTERNAL_ERROR;
    }
    token->cbBuffer = 0;
    if (said.empty()) return SEC_E_OK;
    token->cbBuffer = static_cast<ULONG>(kHeaderBytes + said.size());
    const std::span<std::byte> bytes = BytesOf(token);
    WriteHeader(bytes, kHandshake, said.size());
    std::memcpy(bytes.data() + kHeaderBytes, said.data(), said.size());
    if (!script_.needs_completion()) return ends ? SEC_E_OK : SEC_I_CONTINUE_NEEDED;
    Invert(bytes);
    return ends ? SEC_I_COMPLETE_NEEDED : SEC_I_COMPLETE_AND_CONTINUE;
  }

  const FramedScript& script_;
  const bool server_;
  int legs_ = 0;
  bool established_ = false;
  std::uint32_t sealed_ = 0;
  std::uint32_t opened_ = 0;
};

}  // namespace

FramedPackage& FramedPackage::Instance() {
  static auto* const package = new FramedPackage();
  return *package;
}

std::span<const std::string_view> FramedPackage::Names() const {
  static constexpr std::array<std::string_view, 1> kNames = {kName};
  return kNames;
}

sspi::CallResult FramedPackage::Acquire(const sspi::AcquireArguments& arguments,
                                        sspi::PackageCall* /*call*/,
                                        std::unique_ptr<sspi::PackageCredential>* credential) {
  if (arguments.auth_data == nullptr) return sspi::CallResult::Done(SEC_E_NO_CREDENTIALS);
  *credential = std::make_unique<FramedCredential>(
      *static_cast<const FramedScript*>(arguments.auth_data), arguments.direction);
  return sspi::CallResult::Done(SEC_E_OK);
}

SECURITY_STATUS FramedPackage::CreateContext(sspi::PackageCredential& credential,
                                             std::unique_ptr<sspi::PackageContext>* context) {
  *context = std::make_unique<FramedContext>(static_cast<FramedCredential&>(credential).script(),
                                             credential.direction());
  return SEC_E_OK;
}

}  // namespace ktlsim::test

#include "kernel_sim/sspi/packages/digest_buffers.h"

#include <cstring>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/buffers.h"

namespace ktlsim::sspi {
namespace {

constexpr std::size_t kMethodBytesMax = 64;

// Callers in C often count the NUL of a string.
std::string_view TextOf(const SecBuffer& buffer) {
  const std::span<std::byte> bytes = BytesOf(&buffer);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return text;
}

SecBuffer* FindToken(PSecBufferDesc output, std::size_t which) {
  for (SecBuffer& buffer : BuffersOf(output)) {
    if (TypeOf(buffer) != SECBUFFER_TOKEN) continue;
    if (which == 0) return &buffer;
    --which;
  }
  return nullptr;
}

}  // namespace

SECURITY_STATUS ReadDigestInput(PSecBufferDesc descriptor, DigestInput* input) {
  std::size_t parameters = 0;
  bool token = false;
  for (SecBuffer& buffer : BuffersOf(descriptor)) {
    switch (TypeOf(buffer)) {
      case SECBUFFER_TOKEN:
        if (IsNullWithSize(buffer)) return SEC_E_INVALID_TOKEN;
        if (!token) input->token = TextOf(buffer);
        token = true;
        break;
      case SECBUFFER_PKG_PARAMS:
        if (IsNullWithSize(buffer)) return SEC_E_INVALID_TOKEN;
        if (parameters == input->parameters.size()) break;
        // A realm is UTF-16, whose last byte may be zero.
        input->parameters[parameters] =
            parameters == 3 ? std::string_view(static_cast<const char*>(buffer.pvBuffer),
                                               BytesOf(&buffer).size())
                            : TextOf(buffer);
        ++parameters;
        break;
      case SECBUFFER_PADDING:
        if (input->padding != nullptr) break;
        input->padding = &buffer;
        input->padding_text = TextOf(buffer);
        break;
      case SECBUFFER_CHANNEL_BINDINGS:
        if (IsNullWithSize(buffer)) return SEC_E_INVALID_TOKEN;
        input->channel_bindings = BytesOf(&buffer);
        break;
      case SECBUFFER_TARGET_HOST:
        if (IsNullWithSize(buffer)) return SEC_E_INVALID_TOKEN;
        input->target_host = TextOf(buffer);
        input->names_target = true;
        break;
      default:
        break;
    }
  }
  return SEC_E_OK;
}

SECURITY_STATUS ReadChannel(std::span<const std::byte> bindings, std::string* channel) {
  channel->clear();
  if (bindings.empty()) return SEC_E_OK;
  SEC_CHANNEL_BINDINGS head{};
  if (bindings.size() < sizeof(head)) return SEC_E_INVALID_TOKEN;
  std::memcpy(&head, bindings.data(), sizeof(head));
  bool within = true;
  const auto part = [&](ULONG offset, ULONG bytes) {
    if (bytes == 0) return std::span<const std::byte>();
    const bool fits = offset <= bindings.size() && bytes <= bindings.size() - offset;
    within = within && fits;
    return fits ? bindings.subspan(offset, bytes) : std::span<const std::byte>();
  };
  digest::ChannelFacts facts;
  facts.initiator_type = head.dwInitiatorAddrType;
  facts.initiator = part(head.dwInitiatorOffset, head.cbInitiatorLength);
  facts.acceptor_type = head.dwAcceptorAddrType;
  facts.acceptor = part(head.dwAcceptorOffset, head.cbAcceptorLength);
  facts.application = part(head.dwApplicationDataOffset, head.cbApplicationDataLength);
  if (!within) return SEC_E_INVALID_TOKEN;
  const ForkGate::Scope inside;
  return digest::HashChannel(facts, channel) ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

bool IsMethod(std::string_view text) { return text.size() <= kMethodBytesMax && IsToken(text); }

bool ReadEntityHash(std::string_view text, std::string* digits) {
  digits->clear();
  if (text.empty()) return true;
  if (text.size() != 32 && text.size() != 64) return false;
  for (const char c : text) {
    if (!IsHexDigit(c)) return false;
    digits->push_back(Lower(c));
  }
  return true;
}

bool FillEntityHash(digest::Qop qop, digest::Hasher& hasher, std::string* digits) {
  if (qop != digest::Qop::kAuthInt || !digits->empty()) return true;
  digest::HashValue empty;
  if (!hasher.Hash({""}, &empty)) return false;
  *digits = digest::HexText(empty).view();
  return true;
}

bool ReadRealm(std::string_view bytes, std::string* realm) {
  realm->clear();
  if (bytes.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const char c = bytes[i];
    if (c == '\0' && bytes[i + 1] == '\0' && i + 2 == bytes.size()) return true;
    if (bytes[i + 1] != '\0' || c < 0x20 || c > 0x7e) return false;
    realm->push_back(c);
  }
  return true;
}

SECURITY_STATUS PlaceDigestToken(PSecBufferDesc output, std::size_t which, bool allocates,
                                 std::string_view text, ULONG* attributes) {
  SecBuffer* const token = FindToken(output, which);
  if (token == nullptr) return SEC_E_BUFFER_TOO_SMALL;
  if (allocates) {
    void* const memory = AllocateContextBuffer(text.size());
    if (memory == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
    token->pvBuffer = memory;
    *attributes |= ISC_RET_ALLOCATED_MEMORY;
  } else if (token->pvBuffer == nullptr || token->cbBuffer < text.size()) {
    return SEC_E_BUFFER_TOO_SMALL;
  }
  std::memcpy(token->pvBuffer, text.data(), text.size());
  token->cbBuffer = static_cast<ULONG>(text.size());
  return SEC_E_OK;
}

void PlaceNothing(PSecBufferDesc output, std::size_t which, bool allocates) {
  SecBuffer* const token = FindToken(output, which);
  if (token == nullptr) return;
  token->cbBuffer = 0;
  // No pointer that a caller might take for memory to release.
  if (allocates) token->pvBuffer = nullptr;
}

bool HasDigestToken(PSecBufferDesc output, std::size_t which) {
  return FindToken(output, which) != nullptr;
}

}  // namespace ktlsim::sspi

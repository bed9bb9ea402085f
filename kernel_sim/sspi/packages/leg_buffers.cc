#include "kernel_sim/sspi/packages/leg_buffers.h"

#include <ktlsim/sspi_ext.h>

#include <cstring>

#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/tls_settings.h"

namespace ktlsim::sspi {
namespace {

static_assert(ISC_REQ_ALLOCATE_MEMORY == ASC_REQ_ALLOCATE_MEMORY);

// The first buffer of a type counts.
template <typename Pointer>
void KeepFirst(Pointer* kept, SecBuffer& buffer) {
  if (*kept == nullptr) *kept = &buffer;
}

LegRefusal AddFlags(const SecBuffer& buffer, std::uint64_t* flags) {
  SEC_FLAGS more{};
  if (buffer.cbBuffer == 0) return {};
  if (buffer.cbBuffer < sizeof(more) || buffer.pvBuffer == nullptr) {
    return {SEC_E_INVALID_TOKEN, "SECBUFFER_FLAGS holds no SEC_FLAGS"};
  }
  std::memcpy(&more, buffer.pvBuffer, sizeof(more));
  *flags |= more.Flags;
  return {};
}

LegRefusal ReadInput(PSecBufferDesc input, LegBuffers* found) {
  SecBuffer* token = nullptr;
  for (SecBuffer& buffer : BuffersOf(input)) {
    switch (TypeOf(buffer)) {
      case SECBUFFER_TOKEN:
        KeepFirst(&token, buffer);
        break;
      case SECBUFFER_EMPTY:
        KeepFirst(&found->empty, buffer);
        break;
      case SECBUFFER_APPLICATION_PROTOCOLS:
        KeepFirst(&found->alpn, buffer);
        break;
      case SECBUFFER_FLAGS:
        if (const LegRefusal refusal = AddFlags(buffer, &found->flags);
            refusal.status != SEC_E_OK) {
          return refusal;
        }
        break;
      default:
        break;
    }
  }
  found->token = BytesOf(token);
  return {};
}

void ReadOutput(PSecBufferDesc output, LegBuffers* found) {
  for (SecBuffer& buffer : BuffersOf(output)) {
    switch (TypeOf(buffer)) {
      case SECBUFFER_TOKEN:
        KeepFirst(&found->out_token, buffer);
        break;
      case SECBUFFER_EMPTY:
        KeepFirst(&found->out_empty, buffer);
        break;
      case SECBUFFER_ALERT:
        KeepFirst(&found->out_alert, buffer);
        break;
      case KTLSIM_SECBUFFER_FAILURE:
        KeepFirst(&found->out_failure, buffer);
        break;
      default:
        break;
    }
  }
}

const FlagRule* FindUnsupported(Direction direction, PSecBufferDesc input, std::uint64_t flags) {
  for (const SecBuffer& buffer : BuffersOf(input)) {
    if (buffer.cbBuffer == 0) continue;
    for (const FlagRule& rule : InputBufferRules()) {
      if (rule.treatment == Treatment::kRefused && rule.flag == TypeOf(buffer)) return &rule;
    }
  }
  return FindRefusal(direction == Direction::kInbound ? AcceptFlagRules() : InitializeFlagRules(),
                     flags);
}

SECURITY_STATUS CheckBuffers(const LegArguments& arguments, bool allocates) {
  if (arguments.output == nullptr) return SEC_E_INVALID_TOKEN;
  for (const SecBuffer& buffer : BuffersOf(arguments.output)) {
    const bool takes_output =
        TypeOf(buffer) == SECBUFFER_TOKEN || TypeOf(buffer) == SECBUFFER_ALERT;
    if (takes_output && buffer.cbBuffer == 0 && !allocates) return SEC_E_INSUFFICIENT_MEMORY;
  }
  for (const SecBuffer& buffer : BuffersOf(arguments.input)) {
    if (TypeOf(buffer) == SECBUFFER_EMPTY && buffer.cbBuffer != 0) return SEC_E_INVALID_TOKEN;
    if (TypeOf(buffer) == SECBUFFER_TOKEN && IsNullWithSize(buffer)) return SEC_E_INVALID_TOKEN;
  }
  return SEC_E_OK;
}

// FNV-1a.
std::uint64_t HashOf(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : bytes) {
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

LegRefusal ReadLegBuffers(Direction direction, const LegArguments& arguments, LegBuffers* buffers) {
  buffers->flags = arguments.flags;
  if (const LegRefusal refusal = ReadInput(arguments.input, buffers); refusal.status != SEC_E_OK) {
    return refusal;
  }
  ReadOutput(arguments.output, buffers);
  if (const FlagRule* rule = FindUnsupported(direction, arguments.input, buffers->flags)) {
    return {rule->status, rule->refusal};
  }
  return {CheckBuffers(arguments, buffers->allocates()), nullptr};
}

bool ReadAlpn(const SecBuffer& buffer, std::vector<std::uint8_t>* wire) {
  const std::span<std::byte> bytes = BytesOf(&buffer);
  constexpr std::size_t kListsAt = 4;
  constexpr std::size_t kNamesAt = 6;  // after the list's extension (4) and length (2), unpadded
  if (bytes.size() < kListsAt) return false;
  std::uint32_t lists_bytes = 0;
  std::memcpy(&lists_bytes, bytes.data(), sizeof(lists_bytes));
  if (lists_bytes > bytes.size() - kListsAt) return false;
  std::span<std::byte> rest = bytes.subspan(kListsAt, lists_bytes);
  while (!rest.empty()) {
    if (rest.size() < kNamesAt) return false;
    std::int32_t extension = 0;
    std::uint16_t names_bytes = 0;
    std::memcpy(&extension, rest.data(), sizeof(extension));
    std::memcpy(&names_bytes, rest.data() + 4, sizeof(names_bytes));
    if (names_bytes > rest.size() - kNamesAt) return false;
    if (extension == SecApplicationProtocolNegotiationExt_ALPN) {
      const auto* names = reinterpret_cast<const std::uint8_t*>(rest.data() + kNamesAt);
      wire->insert(wire->end(), names, names + names_bytes);
    }
    rest = rest.subspan(kNamesAt + names_bytes);
  }
  for (std::size_t i = 0; i < wire->size(); i += (*wire)[i] + std::size_t{1}) {
    if ((*wire)[i] == 0 || i + (*wire)[i] >= wire->size()) return false;
  }
  return true;
}

void TellMissing(const LegBuffers& buffers, std::size_t missing) {
  if (buffers.empty == nullptr) return;
  buffers.empty->BufferType = SECBUFFER_MISSING;
  buffers.empty->cbBuffer = static_cast<ULONG>(missing);
}

SECURITY_STATUS PlaceToken(const LegBuffers& buffers, std::span<const std::byte> bytes,
                           ULONG* attributes) {
  SecBuffer* token = buffers.out_token;
  // A caller that wants everything allocated may leave the type open, too.
  if (token == nullptr && buffers.allocates()) token = buffers.out_empty;
  if (token == nullptr) return bytes.empty() ? SEC_E_OK : SEC_E_BUFFER_TOO_SMALL;
  if (bytes.empty()) {
    token->cbBuffer = 0;
    // No pointer that a caller might take for memory to release.
    if (buffers.allocates()) token->pvBuffer = nullptr;
    return SEC_E_OK;
  }
  if (buffers.allocates() || token->pvBuffer == nullptr) {
    void* memory = AllocateContextBuffer(bytes.size());
    if (memory == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
    token->pvBuffer = memory;
    token->BufferType = SECBUFFER_TOKEN | (token->BufferType & SECBUFFER_ATTRMASK);
    *attributes |= ISC_RET_ALLOCATED_MEMORY;
  } else if (token->cbBuffer < bytes.size()) {
    return SEC_E_BUFFER_TOO_SMALL;
  }
  std::memcpy(token->pvBuffer, bytes.data(), bytes.size());
  token->cbBuffer = static_cast<ULONG>(bytes.size());
  return SEC_E_OK;
}

void PlaceAlert(const LegBuffers& buffers, const std::optional<tls::Alert>& alert,
                ULONG* attributes) {
  SecBuffer* buffer = buffers.out_alert;
  if (buffer == nullptr) return;
  const ULONG room = buffer->cbBuffer;
  buffer->cbBuffer = 0;
  if (!alert && buffers.allocates()) buffer->pvBuffer = nullptr;
  if (!alert) return;
  if (buffers.allocates() || buffer->pvBuffer == nullptr) {
    buffer->pvBuffer = AllocateContextBuffer(2);
    if (buffer->pvBuffer == nullptr) return;
    *attributes |= ISC_RET_ALLOCATED_MEMORY;
  } else if (room < 2) {
    return;
  }
  auto* bytes = static_cast<unsigned char*>(buffer->pvBuffer);
  bytes[0] = static_cast<unsigned char>(alert->level);
  bytes[1] = static_cast<unsigned char>(alert->description);
  buffer->cbBuffer = 2;
}

RepeatedInput::RepeatedInput(std::span<const std::byte> input)
    : bytes_(input.size()), hash_(HashOf(input)) {}

bool RepeatedInput::Is(std::span<const std::byte> input) const {
  return input.size() == bytes_ && HashOf(input) == hash_;
}

}  // namespace ktlsim::sspi

// The buffers of one call of Digest: what a caller's descriptor holds, found once, and how texts
// are placed in one.
//
// Any level, no state.
#pragma once

#include <sspi.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::sspi {

// The token's promise to callers, who allocate this much (SecPkgInfo::cbMaxToken).
inline constexpr std::size_t kDigestTokenBytesMax = 4096;

// Texts view the caller's memory. All may be absent.
struct DigestInput {
  std::string_view token;
  // The SECBUFFER_PKG_PARAMS in their order: what they mean depends on the function.
  std::array<std::string_view, 4> parameters;
  SecBuffer* padding = nullptr;
  std::string_view padding_text;
  std::span<const std::byte> channel_bindings;  // SECBUFFER_CHANNEL_BINDINGS
  std::string_view target_host;                 // SECBUFFER_TARGET_HOST, UTF-8
  bool names_target = false;                    // there is one
};

// SEC_E_INVALID_TOKEN: a buffer that claims bytes and has none.
SECURITY_STATUS ReadDigestInput(PSecBufferDesc descriptor, DigestInput* input);

// A caller's SEC_CHANNEL_BINDINGS, as the digits that Digest sends of it (digest/bindings.h);
// *channel stays empty where there is none. SEC_E_INVALID_TOKEN: its parts do not lie within its
// bytes. SEC_E_INSUFFICIENT_MEMORY. May throw std::bad_alloc.
SECURITY_STATUS ReadChannel(std::span<const std::byte> bindings, std::string* channel);

inline constexpr const char* kMalformedBindings =
    "a part of the channel bindings lies outside of their bytes";

// A method is a token of HTTP.
bool IsMethod(std::string_view text);
// Hexadecimal digits in lower case, as they are hashed; empty for an empty text. False: it is no
// hash.
bool ReadEntityHash(std::string_view text, std::string* digits);
// Where the quality covers the body and the caller named none, the hash of an empty one. False: no
// memory.
[[nodiscard]] bool FillEntityHash(digest::Qop qop, digest::Hasher& hasher, std::string* digits);
// UTF-16 restricted to printable ASCII. False: anything else.
bool ReadRealm(std::string_view bytes, std::string* realm);

// Copies `text` to the TOKEN number `which` of `output`, from 0, into memory that we allocate if
// `allocates`; then *attributes gets ISC_RET_ALLOCATED_MEMORY, which is ASC_RET's, too.
// SEC_E_BUFFER_TOO_SMALL, SEC_E_INSUFFICIENT_MEMORY: nothing was changed. No such TOKEN: too small.
SECURITY_STATUS PlaceDigestToken(PSecBufferDesc output, std::size_t which, bool allocates,
                                 std::string_view text, ULONG* attributes);
// There is no text for the TOKEN number `which`, if there is one.
void PlaceNothing(PSecBufferDesc output, std::size_t which, bool allocates);
// Whether there is a TOKEN number `which`.
bool HasDigestToken(PSecBufferDesc output, std::size_t which);

}  // namespace ktlsim::sspi

// The buffers of one call of Digest: what a caller's descriptor holds, found once, and how texts
// are placed in one.
//
// Any level, no state.
#pragma once

#include <sspi.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

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
  bool channel_bindings = false;  // they came, and are not empty
};

// SEC_E_INVALID_TOKEN: a buffer that claims bytes and has none.
SECURITY_STATUS ReadDigestInput(PSecBufferDesc descriptor, DigestInput* input);

// A method is a token of HTTP.
bool IsMethod(std::string_view text);
// Hexadecimal digits in lower case, as they are hashed; empty for an empty text. False: it is no
// hash.
bool ReadEntityHash(std::string_view text, std::string* digits);
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

// The buffers of one leg of TLS: what a caller's two descriptors hold, found once.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernel_sim/sspi/packages/package.h"
#include "tls/types.h"

namespace ktlsim::sspi {

struct LegBuffers {
  // Buffers of the input. All may be absent.
  std::span<std::byte> token;
  SecBuffer* empty = nullptr;       // becomes EXTRA or MISSING
  const SecBuffer* alpn = nullptr;  // APPLICATION_PROTOCOLS
  std::uint64_t flags = 0;          // ISC_REQ_* or ASC_REQ_*, those of SECBUFFER_FLAGS included
  // Buffers of the output. All may be absent.
  SecBuffer* out_token = nullptr;
  SecBuffer* out_empty = nullptr;
  SecBuffer* out_alert = nullptr;
  SecBuffer* out_failure = nullptr;  // KTLSIM_SECBUFFER_FAILURE

  bool allocates() const { return (flags & ISC_REQ_ALLOCATE_MEMORY) != 0; }
};

// Why a leg is refused before anything is changed; SEC_E_OK: it is not.
struct LegRefusal {
  SECURITY_STATUS status = SEC_E_OK;
  const char* reason = nullptr;  // a literal; null: the status is the only reason
};

// Fills `*buffers` from the caller's descriptors. A buffer that requests something unsupported is
// refused.
LegRefusal ReadLegBuffers(Direction direction, const LegArguments& arguments, LegBuffers* buffers);
// The ProtocolNameList in SEC_APPLICATION_PROTOCOLS. False: malformed.
bool ReadAlpn(const SecBuffer& buffer, std::vector<std::uint8_t>* wire);

// Nothing was consumed and at least `missing` bytes are needed; 0: it is not known how many.
void TellMissing(const LegBuffers& buffers, std::size_t missing);
// Copies `bytes` to the output's token, into memory that we allocate where the caller asks for it;
// then `*attributes` gets ISC_RET_ALLOCATED_MEMORY. SEC_E_BUFFER_TOO_SMALL,
// SEC_E_INSUFFICIENT_MEMORY: nothing was changed.
SECURITY_STATUS PlaceToken(const LegBuffers& buffers, std::span<const std::byte> bytes,
                           ULONG* attributes);
// The two bytes of SECBUFFER_ALERT; a length of 0 says that there is none.
void PlaceAlert(const LegBuffers& buffers, const std::optional<tls::Alert>& alert,
                ULONG* attributes);

// Recognises the input of a repeated call. It is for a caller's honest retry, and no defence
// against a false one.
class RepeatedInput {
 public:
  explicit RepeatedInput(std::span<const std::byte> input);
  bool Is(std::span<const std::byte> input) const;

 private:
  std::size_t bytes_;
  std::uint64_t hash_;
};

}  // namespace ktlsim::sspi

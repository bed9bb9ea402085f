// ServerProofs: verifies the Authentication-Info of many responses while a load goes on: that the
// server, too, knows the password (RFC 7616 3.5).
//
// What a newcomer gets wrong: nobody waits for a proof. The operation is over when its response has
// come; a wrong proof is counted when it has been looked at.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::command {

// A buffer that views `text`, which is only read.
SecBuffer TextBuffer(ULONG type, std::string_view text);
// What a client's VerifySignature takes, for a request without a body.
std::array<SecBuffer, 5> ProofBuffers(std::string_view authentication_info, std::string_view target,
                                      std::string_view header);

class ServerProofs {
 public:
  ServerProofs();
  // As Wait.
  ~ServerProofs();
  ServerProofs(const ServerProofs&) = delete;
  ServerProofs& operator=(const ServerProofs&) = delete;

  // A field without it proves nothing, and says at most which nonce comes next.
  static bool Proves(std::string_view authentication_info) {
    return authentication_info.find("rspauth=") != std::string_view::npos;
  }

  // The response to a request for `target` with this header, which `context` has signed. A context
  // that is gone by now cannot tell; nor can one without memory for the call. Any thread, up to
  // dispatch level; may throw std::bad_alloc.
  void Verify(const CtxtHandle& context, const std::string& target, const std::string& header,
              std::string_view authentication_info) KTLSIM_EXCLUDES(lock_);

  // Until nothing is under way. Passive level.
  void Wait() KTLSIM_EXCLUDES(lock_);

  // The statuses of wrong ones since the last call; of many, the first ones. Any thread.
  std::vector<SECURITY_STATUS> TakeWrong() KTLSIM_EXCLUDES(lock_);
  // How many were right. Any thread.
  std::uint64_t right() const KTLSIM_EXCLUDES(lock_);

 private:
  struct Proof;

  static void OnDone(SspiAsyncContext* async, void* proof);
  Proof* Take() KTLSIM_EXCLUDES(lock_);
  void Finished(Proof* proof, SECURITY_STATUS status) KTLSIM_EXCLUDES(lock_);

  mutable Mutex lock_;
  ConditionVariable none_under_way_;
  std::vector<std::unique_ptr<Proof>> all_ KTLSIM_GUARDED_BY(lock_);
  std::vector<Proof*> free_ KTLSIM_GUARDED_BY(lock_);
  std::size_t under_way_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::uint64_t right_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::vector<SECURITY_STATUS> wrong_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::command

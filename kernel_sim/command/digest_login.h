// DigestLogin: a user who authenticates with Digest once and signs every request from then on, over
// whichever connections they go.
//
// What a newcomer gets wrong: a server takes the requests of one context in the order of their
// counts, but for a window (64 here). So many connections cannot share one context: there is one
// for each kConnectionsPerContext of them.
#pragma once

#include <sspi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/password_input.h"
#include "kernel_sim/command/server_proofs.h"

namespace ktlsim::command {

class DigestLogin {
 public:
  static constexpr unsigned kConnectionsPerContext = 32;

  // Null: `*error` says why. Passive level; the library is started.
  static std::unique_ptr<DigestLogin> Make(const std::string& user, const Password& password,
                                           std::size_t contexts, std::string* error);
  ~DigestLogin();
  DigestLogin(const DigestLogin&) = delete;
  DigestLogin& operator=(const DigestLogin&) = delete;

  std::size_t contexts() const { return sessions_.size(); }

  // Responds to a challenge of the server in context number `which`, in the place of an earlier
  // one. `*header` is the value of Authorization. Empty: done; else what is wrong. Passive level.
  std::string Authenticate(std::size_t which, std::string_view challenge, const std::string& target,
                           std::string* header);
  // The Authentication-Info that came for a request with this header. Empty: the server knows the
  // password, too; else what is wrong. Passive level.
  std::string CheckServer(std::size_t which, const std::string& target, const std::string& header,
                          std::string_view authentication_info);
  // The header of a further request of the context, and what signed it. False: the context must
  // authenticate again, which Renew does. Any thread, up to dispatch level; may throw
  // std::bad_alloc.
  bool Sign(std::size_t which, const std::string& target, std::string* header,
            CtxtHandle* signed_by);
  // The same of signed requests, while others go on.
  ServerProofs& proofs() { return proofs_; }
  // What was wrong with them since the last call, in words. Any thread.
  std::vector<std::string> TakeWrongProofs();

  // The server has challenged a signed request. Any thread, up to dispatch level.
  void NoteChallenge(std::size_t which, std::string_view challenge);
  // Responds to what was noted. Passive level, now and then. Empty: all is well.
  std::string Renew(const std::string& target);
  // How often Renew had to.
  unsigned renewals() const { return renewals_; }
  // The most requests that were signed with one nonce, the first response included. Any thread.
  std::uint32_t nonce_count_max() const;

 private:
  struct Session {
    Mutex lock;
    CtxtHandle context KTLSIM_GUARDED_BY(lock){};
    std::string challenge KTLSIM_GUARDED_BY(lock);  // noted; empty: none
    // Requests that were signed with the nonce, and the most with an earlier one.
    std::uint32_t signed_now KTLSIM_GUARDED_BY(lock) = 0;
    std::uint32_t signed_before KTLSIM_GUARDED_BY(lock) = 0;
  };

  DigestLogin();

  CredHandle credential_;
  std::vector<std::unique_ptr<Session>> sessions_;
  unsigned renewals_ = 0;
  ServerProofs proofs_;
};

// Whether a challenge says that the response was right and its nonce too old (RFC 7616 3.3): then a
// new nonce is all that is missing.
bool IsStale(std::string_view challenge);

}  // namespace ktlsim::command

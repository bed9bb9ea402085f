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
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/password_input.h"

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
  // The header of a further request of the context. False: the context must authenticate again,
  // which Renew does. Any thread, up to dispatch level; may throw std::bad_alloc.
  bool Sign(std::size_t which, const std::string& target, std::string* header);

  // The server has challenged a signed request. Any thread, up to dispatch level.
  void NoteChallenge(std::size_t which, std::string_view challenge);
  // Responds to what was noted. Passive level, now and then. Empty: all is well.
  std::string Renew(const std::string& target);
  // How often Renew had to.
  unsigned renewals() const { return renewals_; }

 private:
  struct Session {
    Mutex lock;
    CtxtHandle context KTLSIM_GUARDED_BY(lock){};
    std::string challenge KTLSIM_GUARDED_BY(lock);  // noted; empty: none
  };

  DigestLogin();

  CredHandle credential_;
  std::vector<std::unique_ptr<Session>> sessions_;
  unsigned renewals_ = 0;
};

}  // namespace ktlsim::command

// DigestRealm: the credential of a listener that serves the users of a realm only.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/command/serve_config.h"

namespace ktlsim::command {

class DigestRealm {
 public:
  // Reads the file of users. Null: `*error` says what is wrong and the remedy. Passive level; the
  // library is started.
  static std::unique_ptr<DigestRealm> Make(const ListenerConfig& config,
                                           std::uint32_t store_wait_ms, std::string* error);
  ~DigestRealm();
  DigestRealm(const DigestRealm&) = delete;
  DigestRealm& operator=(const DigestRealm&) = delete;

  const CredHandle& credential() const { return credential_; }

 private:
  DigestRealm() { SecInvalidateHandle(&credential_); }

  CredHandle credential_;
};

}  // namespace ktlsim::command

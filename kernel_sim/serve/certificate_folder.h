// CertificateFolder: the certificates of a folder, one for each name, as a source of credentials.
// Each is read and acquired when a client first asks for its name, or all of them at the start.
//
//   NAME.crt, NAME.key        for clients that ask for NAME
//   _.NAME.crt, _.NAME.key    for one label more than NAME
//   default.crt, default.key  for everybody else
//
// Nothing is read on a processor: passive workers read files and parse keys, and the acquisition is
// an asynchronous call (SspiAcquireCredentialsHandleAsync) with a callback at passive level. A
// processor looks whether files have changed, if it can without the disk.
//
// Files that have changed are taken at the next use. If they cannot be used, what there was goes
// on, and they are tried again later. Links that lead out of the folder are refused.
#pragma once

#include <schannel.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/serve/shared_credentials.h"
#include "kernel_sim/transport/credential_source.h"

namespace ktlsim::serve {

// Hears about certificates that cannot be used. Passive level, any thread.
class CertificateWatcher {
 public:
  // `file` in the folder, what is wrong with it, and the remedy.
  virtual void OnCertificateFailed(std::string_view file, std::string_view why) = 0;
  virtual void OnCertificateAcquired(std::string_view file) = 0;

 protected:
  ~CertificateWatcher() = default;
};

struct CertificateFolderOptions {
  std::string path;
  SharedCredentialsOptions shared;
  SCH_CREDENTIALS auth{};  // but for the certificate; what it points to lives as long as the folder
  TLS_PARAMETERS parameters{};
  // Sets what else a new credential needs. Passive level, several threads. Empty: done; else why
  // not, in words.
  std::function<std::string(const CredHandle& credential)> complete;
  unsigned threads = 4;                   // that read files and parse keys
  CertificateWatcher* watcher = nullptr;  // outlives the folder
  const Clock* clock = nullptr;           // null: the system's
};

class CertificateFolder final : public transport::CredentialSource {
 public:
  // What a look at the folder's names has found, for people.
  struct Findings {
    std::size_t certificates = 0;
    std::vector<std::string> warnings;  // bounded in number
  };

  // A certificate that AcquireAll could not have.
  struct Failure {
    std::string text;  // its file, what is wrong with it, and the remedy
    SECURITY_STATUS status = SEC_E_OK;
  };

  // Opens the folder and reads nothing of it. kIo: it is no folder that can be read. Passive level.
  static Result<std::unique_ptr<CertificateFolder>> Open(CertificateFolderOptions options);
  // Waits for the loads under way. No connection uses it any more, and the library still runs.
  // Passive level.
  ~CertificateFolder();

  // ---- At the start. Passive level.

  // The names in the folder, without opening a file. kIo: it cannot be read. Throws bad_alloc.
  Result<Findings> LookThrough() const;
  // Acquires everything there is now and waits for it. What it could not have. Throws bad_alloc.
  std::vector<Failure> AcquireAll();
  // New credentials take over the TLS sessions of those that `before` has now for the same names:
  // a session ends with the certificate that it rests on. Throws bad_alloc.
  void TakeSessionsOf(CertificateFolder& before);

  // ---- CredentialSource

  When Take(std::string_view name, transport::CredentialWaiter& waiter) override;
  bool Withdraw(transport::CredentialWaiter& waiter) override;
  std::uint64_t FreeUnused() override;

  SharedCredentials::Counts counts();

 private:
  class Impl;
  explicit CertificateFolder(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace ktlsim::serve

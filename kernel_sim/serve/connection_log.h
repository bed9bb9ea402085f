// ConnectionLog: what goes wrong with connections, backends and files, a line each, at a bounded
// rate.
//
// The number of lines that were left out comes with the next one that is written, and at the end
// from suppressed().
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/serve/certificate_folder.h"
#include "kernel_sim/serve/digest_guard.h"
#include "kernel_sim/serve/file_service.h"
#include "kernel_sim/serve/forward_service.h"
#include "kernel_sim/serve/log.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::serve {

// Lets `lines_max` lines a second through. Any thread, any level.
class LineRate {
 public:
  explicit LineRate(std::uint32_t lines_max) : lines_max_(lines_max) {}

  // True: write the line, and report that `*left_out` others were not written since the last one.
  bool Admit(std::uint64_t now_ns, std::uint64_t* left_out);
  std::uint64_t left_out_in_all() const { return left_out_in_all_.load(std::memory_order_relaxed); }

 private:
  const std::uint32_t lines_max_;
  SpinLock lock_;
  std::uint64_t second_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::uint32_t lines_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::uint64_t left_out_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::atomic<std::uint64_t> left_out_in_all_{0};
};

class ConnectionLog final : public transport::EndObserver,
                            public CertificateWatcher,
                            public BackendWatcher,
                            public DigestWatcher,
                            public FileWatcher {
 public:
  static constexpr std::uint32_t kLinesPerSecond = 20;

  explicit ConnectionLog(Log& log) : log_(log) {}

  // A handshake that failed, or an established connection that broke the protocol.
  void OnConnectionEnded(const transport::Connection& connection,
                         const transport::EndReason& reason) override;
  void OnAcceptFailed(const Status& reason) override;
  void OnBackendOut(const io::Address& backend, Status failure) override;
  void OnBackendBack(const io::Address& backend) override;
  void OnNoBackend(const io::Address& client) override;
  void OnFileFailed(std::string_view path, Status failure) override;
  void OnCertificateFailed(std::string_view file, std::string_view why) override;
  void OnCertificateAcquired(std::string_view file) override;
  void OnDigest(DigestOutcome outcome, const transport::Connection& connection,
                std::string_view target, SECURITY_STATUS status) override;

  std::uint64_t suppressed() const { return rate_.left_out_in_all(); }

 private:
  // False: it is not to be written.
  bool Admit(LogLevel level);
  template <typename MakeAndWrite>
  void Tell(LogLevel level, MakeAndWrite write);

  Log& log_;
  LineRate rate_{kLinesPerSecond};
};

}  // namespace ktlsim::serve

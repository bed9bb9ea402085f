#include "kernel_sim/command/acquisition.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <atomic>

#include "kernel_sim/transport/stop_latch.h"

namespace ktlsim::command {
namespace {

std::atomic<ULONG> notify_mode{KTLSIM_NOTIFY_POOL};

// One call, and the wait for its callback.
class AwaitedCall {
 public:
  AwaitedCall() : async_(SspiCreateAsyncContext()) {}
  ~AwaitedCall() { SspiFreeAsyncContext(async_); }
  AwaitedCall(const AwaitedCall&) = delete;
  AwaitedCall& operator=(const AwaitedCall&) = delete;

  // `submit(async)` begins it. False: it was refused, and there is no callback.
  template <typename Submit>
  bool Run(Submit submit) {
    if (async_ == nullptr || SspiSetAsyncNotifyCallback(async_, &OnDone, &done_) != SEC_E_OK ||
        KtlsimSetNotifyMode(async_, notify_mode.load(std::memory_order_relaxed)) != SEC_E_OK ||
        KtlsimSetQueueWaitLimit(async_, KTLSIM_NO_WAIT_LIMIT) != SEC_E_OK ||
        submit(async_) != SEC_E_OK) {
      return false;
    }
    done_.Wait();
    return true;
  }
  SECURITY_STATUS Outcome() const { return SspiGetAsyncCallStatus(async_); }

 private:
  static void OnDone(SspiAsyncContext* /*async*/, void* done) {
    static_cast<transport::StopLatch*>(done)->CountDown();
  }

  SspiAsyncContext* const async_;
  transport::StopLatch done_{1};
};

}  // namespace

void SetAcquisitionNotifyMode(ULONG mode) { notify_mode.store(mode, std::memory_order_relaxed); }

SECURITY_STATUS AcquireAndWait(ULONG use, void* auth, CredHandle* handle) {
  char package[] = UNISP_NAME_A;
  AwaitedCall call;
  const bool accepted = call.Run([&](SspiAsyncContext* async) {
    return SspiAcquireCredentialsHandleAsyncA(async, nullptr, package, use, nullptr, auth, nullptr,
                                              nullptr, handle, nullptr);
  });
  if (accepted) return call.Outcome();
  return AcquireCredentialsHandleA(nullptr, package, use, nullptr, auth, nullptr, nullptr, handle,
                                   nullptr);
}

void FreeAndWait(const CredHandle& handle) {
  CredHandle freed = handle;
  AwaitedCall call;
  bool submitted = false;
  static_cast<void>(call.Run([&](SspiAsyncContext* async) {
    submitted = true;
    return SspiFreeCredentialsHandleAsync(async, &freed);
  }));
  // One that was refused has freed it all the same; one that was not made has not.
  if (!submitted) static_cast<void>(FreeCredentialsHandle(&freed));
}

}  // namespace ktlsim::command

#include "kernel_sim/command/server_proofs.h"

#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kWrongMax = 1'000'000;

// Of a context that was replaced, of a full queue, and of the end: they say nothing about a server.
bool TellsNothing(SECURITY_STATUS status) {
  return status == SEC_E_INVALID_HANDLE || status == SEC_E_INSUFFICIENT_MEMORY ||
         status == SEC_E_SHUTDOWN_IN_PROGRESS;
}

}  // namespace

SecBuffer TextBuffer(ULONG type, std::string_view text) {
  return {static_cast<ULONG>(text.size()), type,
          text.empty() ? nullptr : const_cast<char*>(text.data())};
}

std::array<SecBuffer, 5> ProofBuffers(std::string_view authentication_info, std::string_view target,
                                      std::string_view header) {
  return {TextBuffer(SECBUFFER_TOKEN, authentication_info), TextBuffer(SECBUFFER_PKG_PARAMS, "GET"),
          TextBuffer(SECBUFFER_PKG_PARAMS, target), TextBuffer(SECBUFFER_PKG_PARAMS, ""),
          TextBuffer(SECBUFFER_PADDING, header)};
}

struct ServerProofs::Proof {
  ServerProofs* owner = nullptr;
  SspiAsyncContext* async = nullptr;
  CtxtHandle context{};
  std::string target;
  std::string header;
  std::string info;
  std::array<SecBuffer, 5> buffers{};
  SecBufferDesc message{};
  ULONG qop = 0;

  ~Proof() {
    if (async != nullptr) SspiFreeAsyncContext(async);
  }
};

ServerProofs::ServerProofs() = default;
ServerProofs::~ServerProofs() { Wait(); }

ServerProofs::Proof* ServerProofs::Take() {
  {
    const MutexLock lock(lock_);
    if (!free_.empty()) {
      Proof* const proof = free_.back();
      free_.pop_back();
      ++under_way_;
      return proof;
    }
  }
  auto made = std::make_unique<Proof>();
  made->owner = this;
  made->async = SspiCreateAsyncContext();
  if (made->async == nullptr) throw std::bad_alloc();
  KTLSIM_CHECK(SspiSetAsyncNotifyCallback(made->async, &OnDone, made.get()) == SEC_E_OK);
  KTLSIM_CHECK(KtlsimSetNotifyMode(made->async, KTLSIM_NOTIFY_ON_PROCESSOR) == SEC_E_OK);
  const MutexLock lock(lock_);
  free_.reserve(all_.size() + 1);
  all_.push_back(std::move(made));
  ++under_way_;
  return all_.back().get();
}

void ServerProofs::Verify(const CtxtHandle& context, const std::string& target,
                          const std::string& header, std::string_view authentication_info) {
  Proof* const proof = Take();
  try {
    proof->target = target;
    proof->header = header;
    proof->info = authentication_info;
  } catch (const std::bad_alloc&) {
    return Finished(proof, SEC_E_INSUFFICIENT_MEMORY);
  }
  proof->context = context;
  proof->buffers = ProofBuffers(proof->info, proof->target, proof->header);
  proof->message = {SECBUFFER_VERSION, static_cast<ULONG>(proof->buffers.size()),
                    proof->buffers.data()};
  KTLSIM_CHECK(SspiReinitAsyncContext(proof->async) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted =
      SspiVerifySignatureAsync(proof->async, &proof->context, &proof->message, 0, &proof->qop);
  if (submitted != SEC_E_OK) Finished(proof, submitted);
}

void ServerProofs::OnDone(SspiAsyncContext* async, void* proof) {
  auto* const done = static_cast<Proof*>(proof);
  done->owner->Finished(done, SspiGetAsyncCallStatus(async));
}

void ServerProofs::Finished(Proof* proof, SECURITY_STATUS status) {
  const MutexLock lock(lock_);
  free_.push_back(proof);  // Take has reserved the place
  if (status == SEC_E_OK) {
    ++right_;
  } else if (!TellsNothing(status) && wrong_.size() < kWrongMax) {
    wrong_.push_back(status);
  }
  if (--under_way_ == 0) none_under_way_.notify_all();
}

void ServerProofs::Wait() {
  const MutexLock lock(lock_);
  none_under_way_.wait(lock_, [this]() KTLSIM_NO_THREAD_SAFETY { return under_way_ == 0; });
}

std::vector<SECURITY_STATUS> ServerProofs::TakeWrong() {
  const MutexLock lock(lock_);
  return std::exchange(wrong_, {});
}

std::uint64_t ServerProofs::right() const {
  const MutexLock lock(lock_);
  return right_;
}

}  // namespace ktlsim::command

#include "kernel_sim/serve/certificate_folder.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <exception>
#include <new>
#include <set>
#include <utility>

#include "kernel_sim/base/member_item.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/serve/certificate_names.h"
#include "kernel_sim/transport/memory.h"

namespace ktlsim::serve {

using transport::CredentialRef;
using transport::CredentialWaiter;

namespace {

using LoadKind = CertificateLoad::Kind;

constexpr std::string_view kCertificateEnd = ".crt";
constexpr std::string_view kKeyEnd = ".key";
// What KtlsimLoadCertificate takes.
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 20;
// A file that is being replaced right now is read again.
constexpr int kReadsMax = 3;
// How many of a start's acquisitions are under way at once.
constexpr std::size_t kAtOnceMax = 256;
constexpr std::size_t kWarningsMax = 10;

std::string CertificateFile(std::string_view stem) {
  return std::string(stem).append(kCertificateEnd);
}
std::string KeyFile(std::string_view stem) { return std::string(stem).append(kKeyEnd); }

// Text that may be a private key: wiped when it is destroyed. Ended by a NUL.
class SecretText {
 public:
  explicit SecretText(std::size_t bytes) : text_(bytes + 1) {}
  ~SecretText() { transport::Wipe(std::as_writable_bytes(std::span(text_))); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;

  std::span<std::byte> room() {
    return std::as_writable_bytes(std::span(text_)).first(text_.size() - 1);
  }
  const char* c_str() const { return text_.data(); }

 private:
  std::vector<char> text_;
};

std::string WordsOf(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "there is no such file";
    case EACCES:
    case EPERM:
      return "it cannot be read: permission denied; let the user that runs the server read it";
    case EXDEV:
    case ELOOP:
      return "a link leads out of the folder, which is refused; put the file itself there";
    default:
      break;
  }
  const char* const words = strerrordesc_np(error_number);
  return std::string("it cannot be read: ") + (words != nullptr ? words : "unknown error");
}

std::string MissingKey(std::string_view stem) {
  return "there is no such file; put the private key of " + CertificateFile(stem) + " there";
}

CertificateLoad OutOfMemory() {
  return {.kind = LoadKind::kFailed,
          .credential = nullptr,
          .stamp = {},
          .status = SEC_E_INSUFFICIENT_MEMORY};
}

bool IsMissing(int error_number) { return error_number == ENOENT || error_number == ENAMETOOLONG; }

// A credential handle, and the async context that acquired it: what frees it later needs no memory.
struct Held {
  CredHandle handle{};
  SspiAsyncContext* async = nullptr;

  static void OnFreed(SspiAsyncContext* /*async*/, void* self) { delete static_cast<Held*>(self); }
  ~Held() { SspiFreeAsyncContext(async); }
};

// Any thread, any level. What refuses the call has freed the credential all the same.
struct FreeHeld {
  Held* held;
  void operator()(const CredHandle* /*handle*/) const {
    if (SspiReinitAsyncContext(held->async) == STATUS_SUCCESS &&
        SspiSetAsyncNotifyCallback(held->async, &Held::OnFreed, held) == SEC_E_OK &&
        SspiFreeCredentialsHandleAsync(held->async, &held->handle) == SEC_E_OK) {
      return;
    }
    delete held;
  }
};

}  // namespace

class CertificateFolder::Impl final : private CertificateLoader {
 public:
  Impl(CertificateFolderOptions options, FileTree tree)
      : options_(std::move(options)),
        tree_(std::move(tree)),
        workers_(options_.threads),
        shared_(options_.shared, *this,
                options_.clock != nullptr ? *options_.clock : system_clock_) {}
  ~Impl();

  SharedCredentials& shared() { return shared_; }
  Result<Findings> LookThrough() const;
  std::vector<Failure> AcquireAll();

 private:
  struct Job;

  void AcquireEach(const std::vector<std::string>& names);
  // Until it is null again, failures are not for the watcher.
  void CollectFailures(std::vector<Failure>* failures);

  Look LookAt(const std::string& stem, const CertificateStamp& stamp) override;
  Look LookAtFile(const std::string& name, const FileFacts& facts) const;
  void Load(const std::string& stem, const CertificateStamp& stamp, CredentialRef before) override;

  // ---- A load, at passive level
  void Finish(Job& job, CertificateLoad load);
  void Fail(Job& job, const std::string& file, const std::string& why, SECURITY_STATUS status);
  // 0, or the errno value.
  int OpenPair(const Job& job, OpenFile* certificate, OpenFile* key, CertificateStamp* stamp,
               std::string* bad) const;
  bool Read(const OpenFile& file, SecretText* text) const;
  void Acquire(Job& job);
  void Complete(Job& job);
  void NoteFailure(const std::string& file, const std::string& why, SECURITY_STATUS status);

  const CertificateFolderOptions options_;
  const MonotonicClock system_clock_;
  const FileTree tree_;
  PassiveWorker workers_;
  SharedCredentials shared_;

  Mutex mutex_;
  ConditionVariable fewer_jobs_;
  std::size_t jobs_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::vector<Failure>* failures_ KTLSIM_GUARDED_BY(mutex_) = nullptr;  // of AcquireAll
};

// One load on its way: through a worker, through the library, and back.
struct CertificateFolder::Impl::Job {
  Job(Impl& folder, const std::string& its_stem, const CertificateStamp& its_stamp)
      : owner(folder), stem(its_stem), known(its_stamp) {}
  ~Job() {
    CertFreeCertificateContext(certificate);
    delete held;
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // On a worker.
  void Start();
  bool ReadFiles();
  // False: it has failed.
  bool MayRead(const FileFacts& facts, const std::string& file);
  bool LoadPem(const OpenFile& certificate_file, const OpenFile& key_file);
  static void OnAcquired(SspiAsyncContext* async, void* self);
  // Each of these ends it.
  void Finish(CertificateLoad load) { owner.Finish(*this, std::move(load)); }
  void Fail(const std::string& file, const std::string& why) {
    owner.Fail(*this, file, why, SEC_E_UNKNOWN_CREDENTIALS);
  }
  void OnNotOpened(const std::string& file, int error_number, bool certificate_file);
  void OnNotLoaded(const std::string& why);

  Impl& owner;
  const std::string stem;
  const CertificateStamp known;
  CredentialRef before;
  MemberItem<&Job::Start> item{*this};
  CertificateStamp fresh;
  PCCERT_CONTEXT certificate = nullptr;
  Held* held = nullptr;
  // The library's during the acquisition.
  char package[sizeof(UNISP_NAME_A)] = UNISP_NAME_A;
  SCH_CREDENTIALS auth{};
  TLS_PARAMETERS parameters{};
};

CertificateFolder::Impl::~Impl() {
  MutexLock lock(mutex_);
  while (jobs_ != 0) fewer_jobs_.wait(mutex_);
}

// ---- Looking

CertificateLoader::Look CertificateFolder::Impl::LookAt(const std::string& stem,
                                                        const CertificateStamp& stamp) {
  try {
    const Look look = LookAtFile(CertificateFile(stem), stamp.certificate);
    return look == Look::kSame ? LookAtFile(KeyFile(stem), stamp.key) : look;
  } catch (const std::bad_alloc&) {
    return Look::kCannotTell;
  }
}

CertificateLoader::Look CertificateFolder::Impl::LookAtFile(const std::string& name,
                                                            const FileFacts& facts) const {
  OpenFile file;
  FileFacts now;
  const int error_number = tree_.OpenBelow(name, FileTree::Wait::kNever, &file, &now);
  if (error_number == EAGAIN) return Look::kCannotTell;
  return error_number == 0 && now == facts ? Look::kSame : Look::kChanged;
}

Result<CertificateFolder::Findings> CertificateFolder::Impl::LookThrough() const {
  std::vector<std::string> names;
  if (const int error_number = tree_.List(&names); error_number != 0) {
    return IoError(error_number, "read the folder");
  }
  std::ranges::sort(names);
  Findings findings;
  const auto warn = [&findings](std::string text) {
    if (findings.warnings.size() < kWarningsMax) findings.warnings.push_back(std::move(text));
  };
  bool has_default = false;
  for (const std::string& name : names) {
    if (!name.ends_with(kCertificateEnd)) continue;
    const std::string stem = name.substr(0, name.size() - kCertificateEnd.size());
    has_default = has_default || stem == kDefaultStem;
    ++findings.certificates;
    if (!IsStem(stem)) {
      warn(name +
           ": no client's name leads to this file; call it NAME.crt with a host name in lower "
           "case, _.NAME.crt for *.NAME, or default.crt");
    } else if (!std::ranges::binary_search(names, KeyFile(stem))) {
      warn(KeyFile(stem) + ": " + MissingKey(stem));
    }
  }
  if (!has_default) {
    warn(
        "there is no default.crt: a client that asks for no name, or for one that no file is for, "
        "is refused; put default.crt and default.key there if it should be served");
  }
  return findings;
}

// ---- Acquiring all

namespace {

// Counts how many of a start's acquisitions are under way.
struct AcquireGate {
  Mutex mutex;
  ConditionVariable changed;
  std::size_t under_way KTLSIM_GUARDED_BY(mutex) = 0;

  void Leave() {
    MutexLock lock(mutex);
    --under_way;
    changed.notify_all();
  }
  void Enter() {
    MutexLock lock(mutex);
    while (under_way >= kAtOnceMax) changed.wait(mutex);
    ++under_way;
  }
  ~AcquireGate() {
    MutexLock lock(mutex);
    while (under_way != 0) changed.wait(mutex);
  }
};

struct StartWaiter final : CredentialWaiter {
  explicit StartWaiter(AcquireGate& its_gate) : gate(its_gate) {}
  void OnCredential() override { gate.Leave(); }
  AcquireGate& gate;
};

}  // namespace

std::vector<CertificateFolder::Failure> CertificateFolder::Impl::AcquireAll() {
  std::vector<std::string> names;
  if (const int error_number = tree_.List(&names); error_number != 0) {
    return {{.text = WordsOf(error_number), .status = SEC_E_UNKNOWN_CREDENTIALS}};
  }
  std::ranges::sort(names);
  std::vector<Failure> failures;
  CollectFailures(&failures);
  try {
    AcquireEach(names);
  } catch (const std::bad_alloc&) {
    CollectFailures(nullptr);
    throw;
  }
  CollectFailures(nullptr);
  return failures;
}

void CertificateFolder::Impl::AcquireEach(const std::vector<std::string>& names) {
  std::deque<StartWaiter> waiters;  // which stay where they are
  AcquireGate gate;                 // and are waited for, whatever is thrown
  for (const std::string& name : names) {
    if (!name.ends_with(kCertificateEnd)) continue;
    const std::string stem = name.substr(0, name.size() - kCertificateEnd.size());
    if (!IsStem(stem)) continue;
    StartWaiter& waiter = waiters.emplace_back(gate);
    gate.Enter();
    if (shared_.TakeStem(stem, waiter) == When::kNow) gate.Leave();
  }
}

void CertificateFolder::Impl::CollectFailures(std::vector<Failure>* failures) {
  MutexLock lock(mutex_);
  failures_ = failures;
}

// ---- A load

void CertificateFolder::Impl::Load(const std::string& stem, const CertificateStamp& stamp,
                                   CredentialRef before) {
  Job* job = nullptr;
  try {
    job = new Job(*this, stem, stamp);
    job->before = std::move(before);
  } catch (const std::bad_alloc&) {
    shared_.OnLoaded(stem, OutOfMemory());
    return;
  }
  {
    MutexLock lock(mutex_);
    ++jobs_;
  }
  if (workers_.Run(job->item)) return;
  Finish(*job, OutOfMemory());
}

void CertificateFolder::Impl::Finish(Job& job, CertificateLoad load) {
  shared_.OnLoaded(job.stem, std::move(load));
  delete &job;
  MutexLock lock(mutex_);
  --jobs_;
  fewer_jobs_.notify_all();
}

void CertificateFolder::Impl::Fail(Job& job, const std::string& file, const std::string& why,
                                   SECURITY_STATUS status) {
  NoteFailure(file, why, status);
  Finish(job, {.kind = LoadKind::kFailed, .credential = nullptr, .stamp = {}, .status = status});
}

void CertificateFolder::Impl::NoteFailure(const std::string& file, const std::string& why,
                                          SECURITY_STATUS status) {
  {
    MutexLock lock(mutex_);
    if (failures_ != nullptr) {
      failures_->push_back({.text = file + ": " + why, .status = status});
      return;
    }
  }
  if (options_.watcher != nullptr) options_.watcher->OnCertificateFailed(file, why);
}

// Nothing may be thrown through a worker's thread or a callback. What throws has not ended the job.
void CertificateFolder::Impl::Job::Start() {
  try {
    if (ReadFiles()) owner.Acquire(*this);
  } catch (const std::bad_alloc&) {
    Finish(OutOfMemory());
  }
}

void CertificateFolder::Impl::Job::OnAcquired(SspiAsyncContext* /*async*/, void* self) {
  Job& job = *static_cast<Job*>(self);
  try {
    job.owner.Complete(job);
  } catch (const std::bad_alloc&) {
    job.Finish(OutOfMemory());
  }
}

int CertificateFolder::Impl::OpenPair(const Job& job, OpenFile* certificate, OpenFile* key,
                                      CertificateStamp* stamp, std::string* bad) const {
  *bad = CertificateFile(job.stem);
  int error_number =
      tree_.OpenBelow(*bad, FileTree::Wait::kMayBlock, certificate, &stamp->certificate);
  if (error_number != 0) return error_number;
  *bad = KeyFile(job.stem);
  error_number = tree_.OpenBelow(*bad, FileTree::Wait::kMayBlock, key, &stamp->key);
  return error_number;
}

// False: it is over.
bool CertificateFolder::Impl::Job::ReadFiles() {
  for (int i = 0; i < kReadsMax; ++i) {
    OpenFile certificate_file;
    OpenFile key_file;
    std::string bad;
    const int error_number = owner.OpenPair(*this, &certificate_file, &key_file, &fresh, &bad);
    if (error_number != 0) {
      OnNotOpened(bad, error_number, /*certificate_file=*/!certificate_file);
      return false;
    }
    if (fresh == known) {
      Finish({.kind = LoadKind::kUnchanged, .credential = nullptr, .stamp = {}});
      return false;
    }
    if (!MayRead(fresh.certificate, CertificateFile(stem)) || !MayRead(fresh.key, KeyFile(stem))) {
      return false;
    }
    const bool loaded = LoadPem(certificate_file, key_file);
    // The words are this thread's until its next call.
    const std::string why = loaded ? "" : KtlsimLastErrorText();
    CertificateStamp after;
    if (owner.OpenPair(*this, &certificate_file, &key_file, &after, &bad) == 0 && after == fresh) {
      if (!loaded) OnNotLoaded(why);
      return loaded;
    }
    CertFreeCertificateContext(std::exchange(certificate, nullptr));
  }
  Fail(CertificateFile(stem), "the files change while they are read; rename new ones over them");
  return false;
}

void CertificateFolder::Impl::Job::OnNotOpened(const std::string& file, int error_number,
                                               bool certificate_file) {
  if (!IsMissing(error_number)) {
    Fail(file, WordsOf(error_number));
  } else if (certificate_file) {
    Finish({.kind = LoadKind::kMissing, .credential = nullptr, .stamp = {}});
  } else {
    Fail(file, MissingKey(stem));
  }
}

bool CertificateFolder::Impl::Job::MayRead(const FileFacts& facts, const std::string& file) {
  if (facts.regular && facts.bytes <= kFileBytesMax) return true;
  Fail(file, facts.regular ? "it has more than 1 MiB" : "it is not a regular file");
  return false;
}

void CertificateFolder::Impl::Job::OnNotLoaded(const std::string& why) {
  Fail(CertificateFile(stem), (why.empty() ? std::string("it cannot be read") : why) +
                                  "; both files must be PEM, the key not encrypted, and belong "
                                  "together");
}

bool CertificateFolder::Impl::Job::LoadPem(const OpenFile& certificate_file,
                                           const OpenFile& key_file) {
  SecretText certificate_text(fresh.certificate.bytes);
  SecretText key_text(fresh.key.bytes);
  return owner.Read(certificate_file, &certificate_text) && owner.Read(key_file, &key_text) &&
         KtlsimLoadCertificatePem(certificate_text.c_str(), key_text.c_str(), &certificate) ==
             SEC_E_OK;
}

bool CertificateFolder::Impl::Read(const OpenFile& file, SecretText* text) const {
  std::span<std::byte> room = text->room();
  for (std::uint64_t offset = 0; !room.empty();) {
    const int bytes = ReadBlocking(file, offset, room);
    if (bytes <= 0) return bytes == 0;
    offset += static_cast<std::uint64_t>(bytes);
    room = room.subspan(static_cast<std::size_t>(bytes));
  }
  return true;
}

void CertificateFolder::Impl::Acquire(Job& job) {
  job.held = new Held();
  job.held->async = SspiCreateAsyncContext();
  if (job.held->async == nullptr) throw std::bad_alloc();
  job.parameters = options_.parameters;
  job.auth = options_.auth;
  job.auth.dwVersion = SCH_CREDENTIALS_VERSION;
  job.auth.cCreds = 1;
  job.auth.paCred = &job.certificate;
  job.auth.cTlsParameters = 1;
  job.auth.pTlsParameters = &job.parameters;
  SECURITY_STATUS status = SspiSetAsyncNotifyCallback(job.held->async, &Job::OnAcquired, &job);
  if (status == SEC_E_OK) {
    status = SspiAcquireCredentialsHandleAsyncA(job.held->async, nullptr, job.package,
                                                SECPKG_CRED_INBOUND, nullptr, &job.auth, nullptr,
                                                nullptr, &job.held->handle, nullptr);
  }
  // Accepted: the callback has it from here on.
  if (status == SEC_E_OK) return;
  Fail(job, CertificateFile(job.stem), KtlsimStatusText(status), status);
}

// In the callback, at passive level.
void CertificateFolder::Impl::Complete(Job& job) {
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(job.held->async);
  const std::string file = CertificateFile(job.stem);
  if (status != SEC_E_OK) {
    Fail(job, file,
         status == SEC_E_CERT_EXPIRED
             ? "the certificate has expired or is not valid yet; renew it, or serve it all the "
               "same (--expired serve)"
             : KtlsimLastErrorText(),
         status);
    return;
  }
  Held* const held = std::exchange(job.held, nullptr);
  const CredentialRef credential(&held->handle, FreeHeld{held});
  if (job.before != nullptr) {
    CredHandle from = *job.before;
    KtlsimCred_Sessions sessions{&from};
    // Without them clients make full handshakes.
    static_cast<void>(SetCredentialsAttributesA(&held->handle, KTLSIM_ATTR_SESSIONS, &sessions,
                                                sizeof(sessions)));
  }
  const std::string wrong = options_.complete ? options_.complete(held->handle) : std::string();
  if (!wrong.empty()) {
    Fail(job, file, wrong, SEC_E_UNKNOWN_CREDENTIALS);
    return;
  }
  if (options_.watcher != nullptr) options_.watcher->OnCertificateAcquired(file);
  Finish(job, {.kind = LoadKind::kLoaded, .credential = credential, .stamp = job.fresh});
}

// ---- CertificateFolder

CertificateFolder::CertificateFolder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CertificateFolder::~CertificateFolder() = default;

Result<std::unique_ptr<CertificateFolder>> CertificateFolder::Open(
    CertificateFolderOptions options) {
  Result<FileTree> tree = FileTree::Open(options.path);
  if (!tree) return tree.status();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(*tree));
  return std::unique_ptr<CertificateFolder>(new CertificateFolder(std::move(impl)));
}

Result<CertificateFolder::Findings> CertificateFolder::LookThrough() const {
  return impl_->LookThrough();
}
std::vector<CertificateFolder::Failure> CertificateFolder::AcquireAll() {
  return impl_->AcquireAll();
}
void CertificateFolder::TakeSessionsOf(CertificateFolder& before) {
  impl_->shared().Inherit(before.impl_->shared().KeptNow());
}
CertificateFolder::When CertificateFolder::Take(std::string_view name, CredentialWaiter& waiter) {
  return impl_->shared().Take(name, waiter);
}
bool CertificateFolder::Withdraw(CredentialWaiter& waiter) {
  return impl_->shared().Withdraw(waiter);
}
std::uint64_t CertificateFolder::FreeUnused() { return impl_->shared().FreeUnused(); }
SharedCredentials::Counts CertificateFolder::counts() { return impl_->shared().counts(); }

}  // namespace ktlsim::serve

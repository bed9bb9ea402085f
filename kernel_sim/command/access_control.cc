#include "kernel_sim/command/access_control.h"

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/accounts/directory_store.h"
#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/unix_identity/real_impersonation.h"

namespace ktlsim::command {
namespace {

// The writer waits for the disk twice for each batch: it takes what a few milliseconds have left.
constexpr std::uint64_t kLingerNs = 4'000'000;

constexpr const char* kNoMemory = "no memory for the access control";

std::string HeadOf(const AccessConfig& config) {
  return config.audit_head.empty() ? config.audit_file + ".head" : config.audit_head;
}

// A trail that is continued goes on with the key of its head: the first one may be gone.
std::string ReadAuditKey(const AccessConfig& config, FileText* key) {
  std::error_code ignored;
  const bool there =
      !config.audit_key.empty() && std::filesystem::exists(config.audit_key, ignored);
  if (!there && std::filesystem::exists(HeadOf(config), ignored)) return {};
  if (config.audit_key.empty()) {
    return fmt::format(
        "--audit {}: a new trail needs audit-key (--audit-key FILE): 32 bytes or more, such as "
        "`head -c 32 /dev/urandom > FILE` makes",
        Printable(config.audit_file));
  }
  Result<FileText> read = ReadFile(config.audit_key.c_str(), audit::kSecretBytesMax);
  if (!read.ok()) {
    return fmt::format("--audit-key {}: {}; `head -c 32 /dev/urandom > FILE` makes one",
                       Printable(config.audit_key), read.status().ToString());
  }
  *key = std::move(read).value();
  if (key->text().size() >= audit::kSecretBytesMin) return {};
  return fmt::format(
      "--audit-key {}: less than 32 bytes; `head -c 32 /dev/urandom > FILE` makes one",
      Printable(config.audit_key));
}

}  // namespace

std::string LoadAccounts(const std::string& path, LoadedAccounts* loaded) {
  const Result<FileText> file = ReadFile(path.c_str(), accounts::kDirectoryBytesMax);
  if (!file.ok()) {
    return fmt::format("--accounts: {}: {}; name a file that can be read", Printable(path),
                       file.status().ToString());
  }
  std::string error;
  loaded->directory = accounts::Directory::Parse(file->text(), path, &error);
  if (loaded->directory == nullptr) return "--accounts: " + error;
  digest::Hasher hasher(digest::HashId::kSha256);
  digest::HashValue mark;
  // Without memory for it every reload counts as a change.
  loaded->mark = hasher.Hash({file->text()}, &mark) ? std::string(mark.raw()) : std::string();
  return {};
}

std::unique_ptr<AccessControl> AccessControl::Start(const AccessConfig& config, Purpose purpose,
                                                    std::string* error) {
  std::unique_ptr<AccessControl> control(new AccessControl);
  *error = config.audit_file.empty() ? "" : control->OpenTrail(config, purpose);
  if (error->empty()) *error = control->MakeMapper();
  if (!error->empty()) return nullptr;
  if (purpose == Purpose::kServe) {
    sspi::Runtime::Instance().UseIdentityMapper(control->mapper_);
  }
  return control;
}

std::string AccessControl::OpenTrail(const AccessConfig& config, Purpose purpose) {
  FileText key;
  std::string wrong = ReadAuditKey(config, &key);
  if (!wrong.empty() || purpose == Purpose::kCheck) return wrong;
  audit::AuditOptions options;
  options.path = config.audit_file;
  options.head_path = config.audit_head;
  options.secret = std::as_bytes(std::span(key.text().data(), key.text().size()));
  options.when_full = config.audit_full;
  options.rotate_bytes = config.audit_rotate_bytes;
  options.queue_depth = config.audit_queue;
  options.linger_ns = kLingerNs;
  auto opened = audit::AuditTrail::Open(options);
  if (!opened.ok()) {
    return fmt::format("--audit {}: {}; `ktlsim audit verify` looks at it",
                       Printable(config.audit_file), opened.status().ToString());
  }
  trail_ = std::move(opened).value();
  return {};
}

std::string AccessControl::MakeMapper() {
  service_ = std::make_shared<accounts::AccountService>(
      accounts::ServiceSurroundings{.clock = &clock_,
                                    .wall_seconds = [] { return std::time(nullptr); },
                                    .new_luid = &authorization::NextLuid},
      accounts::ServiceLimits{});
  mapper_ = std::make_shared<accounts::DirectoryMapper>(service_);
  share_.trail = trail_.get();
  share_.mapper = mapper_.get();
  share_.anonymous = serve::MakeAnonymousToken();
  return share_.anonymous != nullptr ? "" : kNoMemory;
}

AccessControl::~AccessControl() {
  std::uint64_t number = 0;
  sspi::Runtime& runtime = sspi::Runtime::Instance();
  if (runtime.identity_mapper(&number) == mapper_) runtime.UseIdentityMapper(nullptr);
}

void AccessControl::Use(const LoadedAccounts& loaded) {
  if (loaded.directory == nullptr || (!loaded.mark.empty() && loaded.mark == mark_)) return;
  service_->store().Use(loaded.directory);
  mark_ = loaded.mark;
}

std::shared_ptr<serve::AccessPolicies> AccessControl::PoliciesOf(
    const std::string& path, const std::shared_ptr<const serve::AccessPolicy>& policy) {
  const MutexLock lock(mutex_);
  std::weak_ptr<serve::AccessPolicies>& known = policies_[path];
  std::shared_ptr<serve::AccessPolicies> policies = known.lock();
  if (policies == nullptr) {
    policies = std::make_shared<serve::AccessPolicies>(policy);
    known = policies;
  }
  return policies;
}

std::string AccessControl::Close() {
  if (trail_ == nullptr) return {};
  const Status closed = trail_->Close();
  return closed.ok() ? "" : closed.ToString();
}

AccessReport AccessControl::Report() const {
  AccessReport report;
  report.mappings = service_->mapping_statistics();
  report.switches = unix_identity::Figures();
  if (trail_ != nullptr) report.trail = trail_->figures();
  return report;
}

}  // namespace ktlsim::command

// What one call reads of its caller's memory is bounded: names and arrays of buffers one past the
// bound are refused, and names without an end are not read beyond it.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/kernel_mode.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

constexpr std::size_t kMax = KTLSIM_NAME_UNITS_MAX;

// `units` letters without a zero, followed by memory that cannot be read.
template <typename Char>
class Unterminated {
 public:
  explicit Unterminated(std::size_t units) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = units * sizeof(Char);
    readable_ = (bytes + page - 1) / page * page;
    total_ = readable_ + page;
    void* memory =
        mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    memory_ = static_cast<std::byte*>(memory);
    EXPECT_EQ(mprotect(memory_ + readable_, page, PROT_NONE), 0);
    std::fill_n(get_from(bytes), units, Char{'x'});
    text_ = get_from(bytes);
  }
  ~Unterminated() { munmap(memory_, total_); }
  Unterminated(const Unterminated&) = delete;
  Unterminated& operator=(const Unterminated&) = delete;

  Char* get() { return text_; }

 private:
  Char* get_from(std::size_t bytes) { return reinterpret_cast<Char*>(memory_ + readable_ - bytes); }

  std::byte* memory_ = nullptr;
  std::size_t readable_ = 0;
  std::size_t total_ = 0;
  Char* text_ = nullptr;
};

SECURITY_STRING Counted(std::u16string& text) {
  const auto bytes = static_cast<USHORT>(text.size() * sizeof(WCHAR));
  return {bytes, bytes, text.data()};
}

// Each way of naming a target, a principal and a package, with names of one length.
class NameBoundsTest : public testing::Test {
 protected:
  ~NameBoundsTest() override { Forget(); }

  // Accepted calls run to their end; nothing is left of refused ones.
  SECURITY_STATUS Outcome(SECURITY_STATUS submitted) {
    if (submitted == SEC_E_OK) return call_.Finish();
    EXPECT_EQ(call_.callbacks(), finished_);
    return submitted;
  }
  void Forget() {
    finished_ = call_.callbacks();
    if (SecIsValidHandle(&made_)) {
      EXPECT_EQ(DeleteSecurityContext(&made_), SEC_E_OK);
    }
    if (SecIsValidHandle(&acquired_)) {
      EXPECT_EQ(FreeCredentialsHandle(&acquired_), SEC_E_OK);
    }
    SecInvalidateHandle(&made_);
    SecInvalidateHandle(&acquired_);
  }

  void ExpectTarget(char* narrow, WCHAR* wide, SECURITY_STATUS expected) {
    ExpectSame(expected, "InitializeAsyncA",
               Outcome(SspiInitializeSecurityContextAsyncA(
                   call_.get(), outbound_.get(), nullptr, narrow, 0, 0, 0, &memory_.in_desc, 0,
                   &made_, &memory_.out_desc, &memory_.attributes, nullptr)));
    ExpectSame(expected, "InitializeAsyncW",
               Outcome(SspiInitializeSecurityContextAsyncW(
                   call_.get(), outbound_.get(), nullptr, wide, 0, 0, 0, &memory_.in_desc, 0,
                   &made_, &memory_.out_desc, &memory_.attributes, nullptr)));
    ExpectSame(
        expected, "InitializeA",
        InitializeSecurityContextA(outbound_.get(), nullptr, narrow, 0, 0, 0, &memory_.in_desc, 0,
                                   &made_, &memory_.out_desc, &memory_.attributes, nullptr));
    ExpectSame(
        expected, "InitializeW",
        InitializeSecurityContextW(outbound_.get(), nullptr, wide, 0, 0, 0, &memory_.in_desc, 0,
                                   &made_, &memory_.out_desc, &memory_.attributes, nullptr));
  }
  void ExpectAcquired(char* narrow, WCHAR* wide, bool is_package, SECURITY_STATUS expected) {
    static WCHAR wide_package[] = u"ktlsim scripted";
    char* const package = is_package ? narrow : ScriptedName();
    WCHAR* const package_w = is_package ? wide : wide_package;
    char* const principal = is_package ? nullptr : narrow;
    WCHAR* const principal_w = is_package ? nullptr : wide;
    ExpectSame(expected, "AcquireAsyncA",
               Outcome(SspiAcquireCredentialsHandleAsyncA(call_.get(), principal, package,
                                                          SECPKG_CRED_OUTBOUND, nullptr, &script_,
                                                          nullptr, nullptr, &acquired_, nullptr)));
    ExpectSame(expected, "AcquireAsyncW",
               Outcome(SspiAcquireCredentialsHandleAsyncW(call_.get(), principal_w, package_w,
                                                          SECPKG_CRED_OUTBOUND, nullptr, &script_,
                                                          nullptr, nullptr, &acquired_, nullptr)));
    ExpectSame(expected, "AcquireA",
               AcquireCredentialsHandleA(principal, package, SECPKG_CRED_OUTBOUND, nullptr,
                                         &script_, nullptr, nullptr, &acquired_, nullptr));
    ExpectSame(expected, "AcquireW",
               AcquireCredentialsHandleW(principal_w, package_w, SECPKG_CRED_OUTBOUND, nullptr,
                                         &script_, nullptr, nullptr, &acquired_, nullptr));
  }
  void ExpectSame(SECURITY_STATUS expected, const char* what, SECURITY_STATUS status) {
    EXPECT_EQ(status, expected) << what;
    Forget();
  }

  sspi::Script script_ = RepeatedScript();
  ScriptedCredential outbound_{RepeatedScript(), SECPKG_CRED_OUTBOUND};
  AsyncCall call_;
  LegMemory memory_;
  CtxtHandle made_ = {~ULONG_PTR{0}, ~ULONG_PTR{0}};
  CredHandle acquired_ = {~ULONG_PTR{0}, ~ULONG_PTR{0}};
  int finished_ = 0;
};

TEST_F(NameBoundsTest, LongestTargetAndPrincipalAreTaken) {
  std::string narrow(kMax, 'x');
  std::u16string wide(kMax, u'x');
  ExpectTarget(narrow.data(), wide.data(), SEC_I_CONTINUE_NEEDED);
  ExpectAcquired(narrow.data(), wide.data(), false, SEC_E_OK);
  ExpectAcquired(narrow.data(), wide.data(), true, SEC_E_SECPKG_NOT_FOUND);
}

TEST_F(NameBoundsTest, OneUnitMoreIsRefused) {
  std::string narrow(kMax + 1, 'x');
  std::u16string wide(kMax + 1, u'x');
  ExpectTarget(narrow.data(), wide.data(), SEC_E_INVALID_PARAMETER);
  ExpectAcquired(narrow.data(), wide.data(), false, SEC_E_INVALID_PARAMETER);
  ExpectAcquired(narrow.data(), wide.data(), true, SEC_E_SECPKG_NOT_FOUND);
  EXPECT_FALSE(SslEmptyCacheA(narrow.data(), 0));
  EXPECT_FALSE(SslEmptyCacheW(wide.data(), 0));
  PSecPkgInfoA info = nullptr;
  EXPECT_EQ(QuerySecurityPackageInfoA(narrow.data(), &info), SEC_E_SECPKG_NOT_FOUND);
}

TEST_F(NameBoundsTest, NothingIsReadBeyondTheBound) {
  Unterminated<char> narrow(kMax + 1);
  Unterminated<WCHAR> wide(kMax + 1);
  ExpectTarget(narrow.get(), wide.get(), SEC_E_INVALID_PARAMETER);
  ExpectAcquired(narrow.get(), wide.get(), false, SEC_E_INVALID_PARAMETER);
  ExpectAcquired(narrow.get(), wide.get(), true, SEC_E_SECPKG_NOT_FOUND);
  EXPECT_FALSE(SslEmptyCacheA(narrow.get(), 0));
  EXPECT_FALSE(SslEmptyCacheW(wide.get(), 0));
  PSecPkgInfoA info = nullptr;
  PSecPkgInfoW info_w = nullptr;
  EXPECT_EQ(QuerySecurityPackageInfoA(narrow.get(), &info), SEC_E_SECPKG_NOT_FOUND);
  EXPECT_EQ(QuerySecurityPackageInfoW(wide.get(), &info_w), SEC_E_SECPKG_NOT_FOUND);
}

// A counted name ends where its length says; the longest possible one has 32,767 units.
TEST_F(NameBoundsTest, CountedNamesHaveTheSameBound) {
  for (const std::size_t units : {kMax, kMax + 1, std::size_t{32767}}) {
    std::u16string text(units, u'x');
    SECURITY_STRING name = Counted(text);
    std::u16string known = u"ktlsim scripted";
    SECURITY_STRING package = Counted(known);
    const SECURITY_STATUS refused = units > kMax ? SEC_E_INVALID_PARAMETER : SEC_E_OK;
    ExpectSame(refused == SEC_E_OK ? SEC_I_CONTINUE_NEEDED : refused, "InitializeAsyncW",
               Outcome(Ktlsim_k_SspiInitializeSecurityContextAsyncW(
                   call_.get(), outbound_.get(), nullptr, &name, 0, 0, 0, &memory_.in_desc, 0,
                   &made_, &memory_.out_desc, &memory_.attributes, nullptr)));
    ExpectSame(refused == SEC_E_OK ? SEC_I_CONTINUE_NEEDED : refused, "InitializeW",
               Ktlsim_k_InitializeSecurityContextW(outbound_.get(), nullptr, &name, 0, 0, 0,
                                                   &memory_.in_desc, 0, &made_, &memory_.out_desc,
                                                   &memory_.attributes, nullptr));
    ExpectSame(refused, "AcquireAsyncW",
               Outcome(Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(
                   call_.get(), &name, &package, SECPKG_CRED_OUTBOUND, nullptr, &script_, nullptr,
                   nullptr, &acquired_, nullptr)));
    ExpectSame(SEC_E_SECPKG_NOT_FOUND, "AcquireW",
               Ktlsim_k_AcquireCredentialsHandleW(nullptr, &name, SECPKG_CRED_OUTBOUND, nullptr,
                                                  &script_, nullptr, nullptr, &acquired_, nullptr));
  }
}

// The array of a descriptor that claims more buffers than the bound is not read.
TEST(BufferBoundsTest, DescriptorsHaveABound) {
  ScriptedCredential inbound(RepeatedScript());
  ScriptedContext context(inbound);
  AsyncCall call;
  LegMemory memory;
  for (const ULONG count : {ULONG{KTLSIM_BUFFERS_MAX} + 1, ~ULONG{0}}) {
    SecBuffer one = {0, SECBUFFER_EMPTY, nullptr};
    SecBufferDesc many = {SECBUFFER_VERSION, count, &one};
    CtxtHandle made;
    EXPECT_EQ(SspiAcceptSecurityContextAsync(call.get(), inbound.get(), nullptr, &many, 0, 0, &made,
                                             &memory.out_desc, &memory.attributes, nullptr),
              SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(
        SspiAcceptSecurityContextAsync(call.get(), inbound.get(), context.get(), &memory.in_desc, 0,
                                       0, nullptr, &many, &memory.attributes, nullptr),
        SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(AcceptSecurityContext(inbound.get(), context.get(), &many, 0, 0, nullptr,
                                    &memory.out_desc, &memory.attributes, nullptr),
              SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(SspiEncryptMessageAsync(call.get(), context.get(), 0, &many, 0),
              SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(SspiDecryptMessageAsync(call.get(), context.get(), &many, 0, nullptr),
              SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(ApplyControlToken(context.get(), &many), SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(CompleteAuthToken(context.get(), &many), SEC_E_INVALID_PARAMETER);
  }
  EXPECT_EQ(call.callbacks(), 0);
  // Exactly the bound is accepted.
  std::vector<SecBuffer> buffers(KTLSIM_BUFFERS_MAX, {0, SECBUFFER_EMPTY, nullptr});
  buffers[0] = memory.in;
  SecBufferDesc most = {SECBUFFER_VERSION, KTLSIM_BUFFERS_MAX, buffers.data()};
  EXPECT_EQ(SspiAcceptSecurityContextAsync(call.get(), inbound.get(), context.get(), &most, 0, 0,
                                           nullptr, &memory.out_desc, &memory.attributes, nullptr),
            SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
}

}  // namespace
}  // namespace ktlsim::test

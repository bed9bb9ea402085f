// SIDs and their text through the C API, and the memory that it gives.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernel_sim/authorization/local_memory.h"
#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Sid;

// No block is left.
class SidFunctionsTest : public AuthorizationTest {
 protected:
  ~SidFunctionsTest() override { EXPECT_EQ(LocalBlocksLive(), blocks_); }

  static PSID Pointer(const Sid& sid) { return const_cast<Sid*>(&sid); }

  static std::string TextOf(PSID sid) {
    LPSTR text = nullptr;
    EXPECT_EQ(ConvertSidToStringSidA(sid, &text), TRUE);
    std::string copy = text != nullptr ? text : "";
    EXPECT_EQ(LocalFree(text), nullptr);
    return copy;
  }

  // S-1-5-5 with 15 sub-authorities: as long as a SID can be.
  static Sid Longest() {
    Sid sid(5, {});
    for (std::uint32_t i = 0; i < SID_MAX_SUB_AUTHORITIES; ++i) sid.Append(0xFFFFFFF0 + i);
    return sid;
  }

  // Says that it has 255 sub-authorities; there is nothing behind it.
  std::vector<std::byte> endless_ = [] {
    std::vector<std::byte> bytes(8);
    bytes[0] = std::byte{1};
    bytes[1] = std::byte{255};
    return bytes;
  }();

 private:
  const std::size_t blocks_ = LocalBlocksLive();
};

TEST_F(SidFunctionsTest, AllocatesAndFrees) {
  SID_IDENTIFIER_AUTHORITY nt = SECURITY_NT_AUTHORITY;
  PSID sid = nullptr;
  ASSERT_EQ(AllocateAndInitializeSid(&nt, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS,
                                     0, 0, 0, 0, 0, 0, &sid),
            TRUE);
  EXPECT_EQ(TextOf(sid), "S-1-5-32-544");
  EXPECT_EQ(LocalFree(sid), sid) << "it is FreeSid's";
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_HANDLE});
  EXPECT_EQ(FreeSid(sid), nullptr);
  EXPECT_EQ(FreeSid(sid), nullptr) << "never fails";
  EXPECT_EQ(FreeSid(nullptr), nullptr);
  ASSERT_EQ(AllocateAndInitializeSid(&nt, 8, 1, 2, 3, 4, 5, 6, 7, 8, &sid), TRUE);
  EXPECT_EQ(TextOf(sid), "S-1-5-1-2-3-4-5-6-7-8");
  FreeSid(sid);
  ASSERT_EQ(AllocateAndInitializeSid(&nt, 0, 1, 2, 3, 4, 5, 6, 7, 8, &sid), TRUE);
  EXPECT_EQ(TextOf(sid), "S-1-5");
  FreeSid(sid);
  sid = nullptr;
  for (const BYTE count : {BYTE{9}, BYTE{255}}) {
    ExpectError(AllocateAndInitializeSid(&nt, count, 0, 0, 0, 0, 0, 0, 0, 0, &sid),
                ERROR_INVALID_SID);
  }
  ExpectError(AllocateAndInitializeSid(nullptr, 1, 0, 0, 0, 0, 0, 0, 0, 0, &sid), ERROR_NOACCESS);
  ExpectError(AllocateAndInitializeSid(&nt, 1, 0, 0, 0, 0, 0, 0, 0, 0, nullptr), ERROR_NOACCESS);
  EXPECT_EQ(sid, nullptr);
}

TEST_F(SidFunctionsTest, AreMadeInTheCallersMemory) {
  std::array<std::byte, SECURITY_MAX_SID_SIZE> memory{};
  SID_IDENTIFIER_AUTHORITY nt = SECURITY_NT_AUTHORITY;
  ASSERT_EQ(InitializeSid(memory.data(), &nt, 15), TRUE);
  for (DWORD i = 0; i < 15; ++i) *GetSidSubAuthority(memory.data(), i) = 0xFFFFFFF0 + i;
  const Sid longest = Longest();
  EXPECT_EQ(EqualSid(memory.data(), Pointer(longest)), TRUE);
  EXPECT_EQ(*GetSidSubAuthorityCount(memory.data()), 15);
  EXPECT_EQ(GetSidIdentifierAuthority(memory.data())->Value[5], 5);
  EXPECT_EQ(GetLengthSid(memory.data()), DWORD{SECURITY_MAX_SID_SIZE});
  EXPECT_EQ(GetSidLengthRequired(15), DWORD{SECURITY_MAX_SID_SIZE});
  EXPECT_EQ(GetSidLengthRequired(0), 8U);
  EXPECT_EQ(GetSidSubAuthority(memory.data(), 15), nullptr);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_SID});
  ExpectError(InitializeSid(memory.data(), &nt, 16), ERROR_INVALID_PARAMETER);
  ExpectError(InitializeSid(memory.data(), nullptr, 1), ERROR_NOACCESS);
  ExpectError(InitializeSid(nullptr, &nt, 1), ERROR_NOACCESS);
}

TEST_F(SidFunctionsTest, NobodyReadsBehindAnInvalidOne) {
  const PSID endless = endless_.data();
  EXPECT_EQ(IsValidSid(endless), FALSE);
  EXPECT_EQ(IsValidSid(nullptr), FALSE);
  EXPECT_EQ(GetLastError(), 0U) << "these give no error";
  for (const PSID bad : {endless, PSID{nullptr}}) {
    const Sid good = ClientSid(1);
    SetLastError(0);
    EXPECT_EQ(GetLengthSid(bad), 0U);
    EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_SID});
    ExpectError(EqualSid(bad, Pointer(good)), ERROR_INVALID_SID);
    ExpectError(EqualSid(Pointer(good), bad), ERROR_INVALID_SID);
    ExpectError(EqualPrefixSid(bad, Pointer(good)), ERROR_INVALID_SID);
    BOOL equal = 77;
    ExpectError(EqualDomainSid(bad, Pointer(good), &equal), ERROR_INVALID_SID);
    EXPECT_EQ(equal, 77);
    std::array<std::byte, 68> room{};
    DWORD bytes = sizeof(room);
    ExpectError(CopySid(sizeof(room), room.data(), bad), ERROR_INVALID_SID);
    ExpectError(IsWellKnownSid(bad, WinWorldSid), ERROR_INVALID_SID);
    ExpectError(GetWindowsAccountDomainSid(bad, room.data(), &bytes), ERROR_INVALID_SID);
    LPSTR text = nullptr;
    ExpectError(ConvertSidToStringSidA(bad, &text), ERROR_INVALID_SID);
    EXPECT_EQ(text, nullptr);
  }
  EXPECT_EQ(GetSidSubAuthority(endless, 100), nullptr);
  EXPECT_EQ(GetSidSubAuthority(nullptr, 0), nullptr);
  EXPECT_EQ(GetSidSubAuthorityCount(nullptr), nullptr);
  EXPECT_EQ(GetSidIdentifierAuthority(nullptr), nullptr);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_SID});
  endless_[0] = std::byte{2};
  endless_[1] = std::byte{0};
  EXPECT_EQ(IsValidSid(endless), FALSE) << "another revision";
}

TEST_F(SidFunctionsTest, Compares) {
  const Sid a = ClientSid(1001);
  const Sid b = ClientSid(1002);
  SetLastError(17);
  EXPECT_EQ(EqualSid(Pointer(a), Pointer(a)), TRUE);
  EXPECT_EQ(EqualPrefixSid(Pointer(a), Pointer(b)), TRUE);
  EXPECT_EQ(GetLastError(), 17U);
  ExpectError(EqualSid(Pointer(a), Pointer(b)), ERROR_SUCCESS);
  SetLastError(17);
  ExpectError(EqualPrefixSid(Pointer(a), Pointer(security::kWorldSid)), ERROR_SUCCESS);
  BOOL equal = FALSE;
  ASSERT_EQ(EqualDomainSid(Pointer(a), Pointer(b), &equal), TRUE);
  EXPECT_EQ(equal, TRUE);
  ASSERT_EQ(EqualDomainSid(Pointer(a), Pointer(security::kAdministratorsSid), &equal), TRUE);
  EXPECT_EQ(equal, FALSE);
  ExpectError(EqualDomainSid(Pointer(a), Pointer(security::kWorldSid), &equal),
              ERROR_NON_DOMAIN_SID);
  ExpectError(EqualDomainSid(Pointer(a), Pointer(b), nullptr), ERROR_NOACCESS);
}

TEST_F(SidFunctionsTest, CopiesOntoItselfToo) {
  std::array<std::byte, 200> memory{};
  const Sid longest = Longest();
  for (const std::size_t at : {0U, 1U, 4U, 67U}) {
    std::memcpy(memory.data(), &longest, SECURITY_MAX_SID_SIZE);
    ASSERT_EQ(CopySid(68, memory.data() + at, memory.data()), TRUE);
    EXPECT_EQ(EqualSid(memory.data() + at, Pointer(longest)), TRUE) << at;
  }
  memory = {};
  ExpectError(CopySid(67, memory.data(), Pointer(longest)), ERROR_INSUFFICIENT_BUFFER);
  ExpectError(CopySid(0, nullptr, Pointer(longest)), ERROR_INSUFFICIENT_BUFFER);
  ExpectError(CopySid(68, nullptr, Pointer(longest)), ERROR_NOACCESS);
  EXPECT_EQ(memory[0], std::byte{0});
}

TEST_F(SidFunctionsTest, WellKnownOnes) {
  std::array<std::byte, SECURITY_MAX_SID_SIZE> memory{};
  DWORD bytes = 0;
  ExpectError(CreateWellKnownSid(WinBuiltinAdministratorsSid, nullptr, nullptr, &bytes),
              ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(bytes, 16U);
  ExpectError(CreateWellKnownSid(WinBuiltinAdministratorsSid, nullptr, nullptr, &bytes),
              ERROR_INVALID_PARAMETER);
  bytes = sizeof(memory);
  ASSERT_EQ(CreateWellKnownSid(WinBuiltinAdministratorsSid, nullptr, memory.data(), &bytes), TRUE);
  EXPECT_EQ(bytes, 16U);
  EXPECT_EQ(TextOf(memory.data()), "S-1-5-32-544");
  EXPECT_EQ(IsWellKnownSid(memory.data(), WinBuiltinAdministratorsSid), TRUE);
  SetLastError(17);
  ExpectError(IsWellKnownSid(memory.data(), WinWorldSid), ERROR_SUCCESS);
  bytes = sizeof(memory);
  ExpectError(CreateWellKnownSid(WinAccountAdministratorSid, nullptr, memory.data(), &bytes),
              ERROR_INVALID_PARAMETER);
  ExpectError(
      CreateWellKnownSid(WinAccountAdministratorSid, endless_.data(), memory.data(), &bytes),
      ERROR_INVALID_SID);
  const Sid domain(5, {21, 1, 2, 3});
  ASSERT_EQ(CreateWellKnownSid(WinAccountAdministratorSid, Pointer(domain), memory.data(), &bytes),
            TRUE);
  EXPECT_EQ(TextOf(memory.data()), "S-1-5-21-1-2-3-500");
  bytes = sizeof(memory);
  EXPECT_EQ(CreateWellKnownSid(WinWorldSid, endless_.data(), memory.data(), &bytes), TRUE)
      << "no domain is needed";
  for (const int type : {5, 21, 127}) {
    ExpectError(
        CreateWellKnownSid(static_cast<WELL_KNOWN_SID_TYPE>(type), nullptr, memory.data(), &bytes),
        ERROR_INVALID_PARAMETER);
  }
  ExpectError(CreateWellKnownSid(WinWorldSid, nullptr, memory.data(), nullptr), ERROR_NOACCESS);
}

TEST_F(SidFunctionsTest, TheDomainOfAnAccount) {
  std::array<std::byte, SECURITY_MAX_SID_SIZE> memory{};
  const Sid account = ClientSid(1001);
  DWORD bytes = 23;
  ExpectError(GetWindowsAccountDomainSid(Pointer(account), memory.data(), &bytes),
              ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(bytes, 24U);
  ASSERT_EQ(GetWindowsAccountDomainSid(Pointer(account), memory.data(), &bytes), TRUE);
  EXPECT_EQ(TextOf(memory.data()), "S-1-5-21-1-2-3");
  ExpectError(GetWindowsAccountDomainSid(Pointer(account), nullptr, &bytes),
              ERROR_INVALID_PARAMETER);
  ExpectError(GetWindowsAccountDomainSid(Pointer(account), memory.data(), nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(
      GetWindowsAccountDomainSid(Pointer(security::kAdministratorsSid), memory.data(), &bytes),
      ERROR_INVALID_SID);
}

TEST_F(SidFunctionsTest, TheirTextInBothDirections) {
  const Sid longest = Longest();
  LPWSTR wide = nullptr;
  ASSERT_EQ(ConvertSidToStringSidW(Pointer(longest), &wide), TRUE);
  PSID back = nullptr;
  ASSERT_EQ(ConvertStringSidToSidW(wide, &back), TRUE);
  EXPECT_EQ(EqualSid(back, Pointer(longest)), TRUE);
  EXPECT_EQ(FreeSid(back), nullptr) << "it is LocalFree's";
  EXPECT_EQ(IsValidSid(back), TRUE);
  EXPECT_EQ(LocalFree(back), nullptr);
  EXPECT_EQ(LocalFree(wide), nullptr);
  ASSERT_EQ(ConvertStringSidToSidA("BA", &back), TRUE);
  EXPECT_EQ(TextOf(back), "S-1-5-32-544");
  LocalFree(back);
  ASSERT_EQ(ConvertStringSidToSidA("S-1-0x123456789abc-7", &back), TRUE);
  EXPECT_EQ(TextOf(back), "S-1-0x123456789abc-7");
  LocalFree(back);
  back = nullptr;
  for (const char* const bad : {"", "S", "S-1", "S-2-5", "S-1-5-", "S-1-5-4294967296", "XX",
                                "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16"}) {
    ExpectError(ConvertStringSidToSidA(bad, &back), ERROR_INVALID_SID);
  }
  for (const char* const no_text : {"\xff\xff", "S-1-1-0\xc3", "\xed\xa0\x80"}) {
    ExpectError(ConvertStringSidToSidA(no_text, &back), ERROR_INVALID_PARAMETER);
  }
  ExpectError(ConvertStringSidToSidA("DA", &back), ERROR_NONE_MAPPED);
  ExpectError(ConvertStringSidToSidA(nullptr, &back), ERROR_INVALID_PARAMETER);
  ExpectError(ConvertStringSidToSidA("BA", nullptr), ERROR_INVALID_PARAMETER);
  ExpectError(ConvertStringSidToSidW(nullptr, &back), ERROR_INVALID_PARAMETER);
  ExpectError(ConvertSidToStringSidA(Pointer(longest), nullptr), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(back, nullptr);
  // Units that are no character.
  const std::array<WCHAR, 4> odd = {0xD800, u'B', 0xDC00, 0};
  ExpectError(ConvertStringSidToSidW(odd.data(), &back), ERROR_INVALID_SID);
  // A text without an end is read so far only.
  const std::string endless(std::size_t{1} << 21, '7');
  ExpectError(ConvertStringSidToSidA(endless.c_str(), &back), ERROR_INVALID_PARAMETER);
}

TEST_F(SidFunctionsTest, NeedNotBeAligned) {
  const Sid sid = ClientSid(1001);
  std::array<std::byte, 100> memory{};
  for (std::size_t at = 1; at < 8; ++at) {
    ASSERT_EQ(CopySid(68, memory.data() + at, Pointer(sid)), TRUE);
    EXPECT_EQ(EqualSid(memory.data() + at, Pointer(sid)), TRUE);
    EXPECT_EQ(TextOf(memory.data() + at), "S-1-5-21-1-2-3-1001");
    EXPECT_EQ(GetLengthSid(memory.data() + at), 28U);
  }
}

TEST_F(SidFunctionsTest, MemoryIsFreedOnceAndOnlyOurs) {
  HLOCAL block = LocalAlloc(LPTR, 100);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(static_cast<char*>(block)[99], 0);
  SetLastError(17);
  EXPECT_EQ(LocalFree(block), nullptr);
  EXPECT_EQ(LocalFree(nullptr), nullptr);
  EXPECT_EQ(GetLastError(), 17U);
  EXPECT_EQ(LocalFree(block), block);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_HANDLE});
  int own = 0;
  EXPECT_EQ(KtlsimLocalFree(&own), &own);
  EXPECT_EQ(KtlsimLocalAlloc(2, 1), nullptr);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INVALID_PARAMETER});
  block = LocalAlloc(LMEM_FIXED, 0);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(LocalFree(block), nullptr);
}

// No thread holds the register while the process forks.
TEST_F(SidFunctionsTest, AChildAllocatesAndFrees) {
  std::atomic<bool> ended{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&ended] {
      while (!ended) LocalFree(LocalAlloc(LPTR, 16));
    });
  }
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(30);
      for (int block = 0; block < 16; ++block) {
        if (LocalFree(LocalAlloc(LPTR, 16)) != nullptr) _exit(1);
      }
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  ended = true;
}

}  // namespace
}  // namespace ktlsim::authorization

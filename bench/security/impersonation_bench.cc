// What does a server pay for acting as its client?
//
// BM_ImpersonateCheckRevert: the calling thread takes the client's token from a handle, has the
// client's access to an object checked through the C API, by a descriptor of `aces` entries whose
// last one alone is for the client, and reverts. BM_CheckOnly is the baseline: the same
// AccessCheck, without impersonating.
#include <ktlsim/security.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/sddl.h"

namespace ktlsim::authorization {
namespace {

// A client, a handle of its token, and an object.
struct Client {
  explicit Client(std::size_t aces) {
    std::string text = "O:BAG:BAD:";
    for (std::size_t i = 1; i < aces; ++i) {
      text += i % 4 == 0 ? "(D;;0x1;;;S-1-5-21-1-2-3-" : "(A;;0x1;;;S-1-5-21-1-2-3-";
      text += std::to_string(5000 + i) + ")";
    }
    text += "(A;;0x1;;;S-1-5-21-1-2-3-1001)";
    std::optional<security::Descriptor> read;
    if (security::ParseSddl(text, std::nullopt, &read).fault != security::Fault::kNone || !read) {
      std::abort();
    }
    image.assign(read->image().begin(), read->image().end());
    std::vector<security::TokenGroup> groups;
    groups.reserve(20);
    for (std::uint32_t i = 0; i < 20; ++i) {
      groups.push_back({security::Sid(5, {21, 1, 2, 3, 9000 + i})});
    }
    security::TokenContents contents;
    contents.user = security::Sid(5, {21, 1, 2, 3, 1001});
    contents.groups = groups;
    contents.type = security::TokenType::kImpersonation;
    contents.token_id = NextLuid();
    security::Token::Ref token;
    if (security::Token::Create(contents, &token) != security::Fault::kNone ||
        OpenToken(token, kTokenAllAccess, &handle) != security::Fault::kNone) {
      std::abort();
    }
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { CloseHandle(handle); }

  bool MayRead() const {
    PRIVILEGE_SET privileges{};
    DWORD bytes = sizeof(privileges);
    GENERIC_MAPPING mapping = {1, 2, 4, 7};
    DWORD granted = 0;
    BOOL status = FALSE;
    auto* const descriptor = const_cast<std::byte*>(image.data());
    return AccessCheck(descriptor, handle, 1, &mapping, &privileges, &bytes, &granted, &status) ==
               TRUE &&
           status == TRUE;
  }

  std::vector<std::byte> image;  // of the descriptor
  HANDLE handle = nullptr;
};

void BM_ImpersonateCheckRevert(benchmark::State& state) {
  const Client client(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    if (ImpersonateLoggedOnUser(client.handle) != TRUE || !client.MayRead()) std::abort();
    RevertToSelf();
  }
}
BENCHMARK(BM_ImpersonateCheckRevert)->ArgNames({"aces"})->Arg(16);

void BM_CheckOnly(benchmark::State& state) {
  const Client client(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    if (!client.MayRead()) std::abort();
  }
}
BENCHMARK(BM_CheckOnly)->ArgNames({"aces"})->Arg(16);

}  // namespace
}  // namespace ktlsim::authorization

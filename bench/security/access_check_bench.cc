// What does an access check cost?
//
// BM_Check: a DACL of `aces` entries, none of which is for the token but the last, and a token with
// `groups` groups: the longest way. BM_CheckTypes: the same with a list of `types` object types.
// BM_ReadAndCheck reads and validates the descriptor's bytes each time, as a caller does that keeps
// bytes. BM_Walk is the baseline: the same entries, each SID compared with each of the token's.
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_sim/security/access_check.h"

namespace ktlsim::security {
namespace {

constexpr AccessMask kReadData = 1;

Sid SidNumber(std::uint32_t number) {
  return Sid(5, {21, 1004336348, 1177238915, 682003330, number});
}

// A descriptor, and a token for which its last ACE alone is.
struct Scene {
  Scene(std::size_t aces, std::size_t groups) {
    std::vector<std::byte> memory(64 + aces * 36);
    if (InitializeAcl(memory, kAclRevision) != Fault::kNone) std::abort();
    for (std::size_t i = 0; i < aces; ++i) {
      const bool last = i + 1 == aces;
      const Sid sid = SidNumber(last ? 1000 : 5000 + static_cast<std::uint32_t>(i));
      const NewAce ace{.type = !last && i % 4 == 0 ? AceType::kDenied : AceType::kAllowed,
                       .mask = kReadData,
                       .sid = sid};
      if (AppendAce(memory.data(), kAclRevision, ace) != Fault::kNone) std::abort();
    }
    DescriptorView view;
    view.control = kDaclPresent;
    view.owner = kAdministratorsSid;
    view.group = kAdministratorsSid;
    view.dacl = AclView::Read(memory);
    image.resize(SelfRelativeBytes(view));
    if (WriteSelfRelative(view, image) != Fault::kNone ||
        ReadDescriptor(image, &descriptor) != Fault::kNone) {
      std::abort();
    }
    std::vector<TokenGroup> all;
    all.reserve(groups);
    for (std::size_t i = 0; i < groups; ++i) {
      all.push_back({SidNumber(9000 + static_cast<std::uint32_t>(i))});
    }
    TokenContents contents;
    contents.user = SidNumber(1000);
    contents.groups = all;
    Token::Ref token;
    if (Token::Create(contents, &token) != Fault::kNone) std::abort();
    state = token->state();
  }

  std::vector<std::byte> image;
  DescriptorView descriptor;
  TokenStateRef state;
};

void BM_Check(benchmark::State& state) {
  const Scene scene(static_cast<std::size_t>(state.range(0)),
                    static_cast<std::size_t>(state.range(1)));
  AccessResult result;
  for (auto _ : state) {
    const AccessRequest request{scene.descriptor, *scene.state, kReadData, kFileMapping,
                                std::nullopt};
    if (CheckAccess(request, &result) != Fault::kNone || !result.allowed) std::abort();
    benchmark::DoNotOptimize(result);
  }
}
BENCHMARK(BM_Check)->ArgNames({"aces", "groups"})->ArgsProduct({{1, 16, 64}, {5, 20, 200}});

void BM_ReadAndCheck(benchmark::State& state) {
  const Scene scene(static_cast<std::size_t>(state.range(0)), 20);
  AccessResult result;
  for (auto _ : state) {
    DescriptorView view;
    if (ReadDescriptor(scene.image, &view) != Fault::kNone) std::abort();
    const AccessRequest request{view, *scene.state, kReadData, kFileMapping, std::nullopt};
    if (CheckAccess(request, &result) != Fault::kNone || !result.allowed) std::abort();
    benchmark::DoNotOptimize(result);
  }
}
BENCHMARK(BM_ReadAndCheck)->ArgNames({"aces"})->Arg(16);

void BM_CheckTypes(benchmark::State& state) {
  const Scene scene(16, 20);
  std::vector<Guid> guids(static_cast<std::size_t>(state.range(0)));
  std::vector<ObjectType> types(guids.size());
  std::vector<TypeResult> results(guids.size());
  for (std::size_t i = 0; i < guids.size(); ++i) {
    guids[i].data1 = static_cast<std::uint32_t>(i);
    types[i] = {.level = static_cast<std::uint16_t>(i == 0 ? 0 : 1), .type = &guids[i]};
  }
  AccessResult result;
  for (auto _ : state) {
    const AccessRequest request{scene.descriptor, *scene.state, kReadData, kFileMapping,
                                std::nullopt};
    if (CheckAccessByType(request, types, results, &result) != Fault::kNone) std::abort();
    benchmark::DoNotOptimize(result);
  }
}
BENCHMARK(BM_CheckTypes)->ArgNames({"types"})->Arg(8);

void BM_Walk(benchmark::State& state) {
  const Scene scene(static_cast<std::size_t>(state.range(0)),
                    static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) {
    bool allowed = false;
    if (!scene.descriptor.dacl) std::abort();
    for (const AceView ace : *scene.descriptor.dacl) {
      for (const Sid& sid : scene.state->sids()) {
        if (sid.view() == ace.sid()) allowed = true;
      }
    }
    if (!allowed) std::abort();
    benchmark::DoNotOptimize(allowed);
  }
}
BENCHMARK(BM_Walk)->ArgNames({"aces", "groups"})->ArgsProduct({{1, 16, 64}, {5, 20, 200}});

// What a caller does besides: take the token's present state.
void BM_State(benchmark::State& state) {
  Token::Ref token;
  if (Token::Create({}, &token) != Fault::kNone) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(token->state());
}
BENCHMARK(BM_State);

}  // namespace
}  // namespace ktlsim::security

#include "kernel_sim/transport/processors.h"

#include <ktlsim/processor.h>

#include <new>

namespace ktlsim::transport {
namespace {

struct Search {
  const std::string& role;
  std::vector<io::Loop*> loops;
  bool out_of_memory = false;
};

}  // namespace

Result<std::vector<io::Loop*>> LoopsOfRole(const std::string& role) {
  Search search{role, {}};
  const SECURITY_STATUS status = KtlsimForEachProcessor(
      [](void* context, const KtlsimProcessor* processor) {
        auto& found = *static_cast<Search*>(context);
        if (!found.role.empty() && found.role != processor->role) return;
        try {
          found.loops.push_back(processor->loop);
        } catch (const std::bad_alloc&) {
          found.out_of_memory = true;
        }
      },
      &search);
  if (status != SEC_E_OK) {
    constexpr const char* kWhat = "start the simulated processors";
    if (status == SEC_E_INSUFFICIENT_MEMORY) return ResourceError(kWhat);
    return Status(Category::kContract, status, kWhat);
  }
  if (search.out_of_memory) return ResourceError("memory for a path");
  if (search.loops.empty()) return Status(Category::kContract, 0, "no processor has this role");
  return std::move(search.loops);
}

}  // namespace ktlsim::transport

#include "kernel_sim/command/similar.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ktlsim::command {
namespace {

// A longer text is no typing error, and would cost time to compare.
constexpr std::size_t kNameMax = 64;

// Letters to add, drop, change, or swap with their neighbour (optimal string alignment).
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row.back();
}

}  // namespace

std::string SimilarName(std::string_view name, std::span<const std::string> known,
                        std::size_t letters_max) {
  if (name.size() > kNameMax) return {};
  std::string best;
  std::size_t best_distance = std::min(letters_max, (name.size() + 2) / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = Distance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace ktlsim::command

// Every recipe holds options that the program knows, with values that it accepts.
#include <gtest/gtest.h>

#include "cli/published_result.h"
#include "core/registry.h"
#include "retort/core/options.h"
#include "retort/data/dataset.h"
#include "retort/methods/distill.h"
#include "retort/nets/network.h"
#include "support/support.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> recipes() {
  std::vector<fs::path> found;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(RETORT_SOURCE_DIR) / "recipes"))
    if (entry.path().extension() == ".toml") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::string value_of(const fs::path& recipe, const std::string& key) {
  for (const auto& [name, text] : read_flat_toml(recipe.string()))
    if (name == key) return text;
  return "";
}

TEST(Recipes, AreTakenByTheirMethod) {
  for (const fs::path& recipe : recipes()) {
    SCOPED_TRACE(recipe.string());
    const auto method =
        find_entry(std::span(methods::method_table()), "method", value_of(recipe, "method")).make();
    const std::string named = value_of(recipe, "parametrisation");
    const auto kind = find_entry(std::span(synthetic::parametrisation_table()), "parametrisation",
                                 named.empty() ? "pixels" : named)
                          .make();
    methods::DistillOptions loop;
    data::DataOptions data;
    PublishedResult claim;
    OptionSet options;
    loop.declare(options);
    method->declare(options);
    kind->declare(options);
    data.declare(options);
    claim.declare(options);
    Problems problems;
    options.read_toml(recipe.string(), problems);
    EXPECT_EQ(problems.all(), std::vector<std::string>());
    nets::make_network(loop.network, {3, 64, 64, 10});
    if (loop.method != "dm") {  // whose experts are an option of ours
      EXPECT_EQ(options.find("experts") != nullptr, claim.experts_count > 0);
    }
    EXPECT_GT(claim.published_accuracy, 0);
  }
}

TEST(Recipes, LieWhereTheirMethodAndSizeSay) {
  for (const fs::path& recipe : recipes()) {
    EXPECT_EQ(recipe.parent_path().filename(), value_of(recipe, "method")) << recipe;
    EXPECT_TRUE(recipe.stem().string().ends_with("-ipc" + value_of(recipe, "images_per_class")))
        << recipe;
  }
}

}  // namespace
}  // namespace retort::cli

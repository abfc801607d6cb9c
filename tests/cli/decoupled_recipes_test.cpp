// Recipes of SRe2L, CDA, SC-DD and RDED against the commands and tables that their authors publish.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "retort/core/options.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

Keys recipe(const std::string& name) {
  Keys keys;
  for (const auto& [key, text] :
       read_flat_toml((fs::path(RETORT_SOURCE_DIR) / "recipes" / (name + ".toml")).string()))
    keys[key] = text;
  return keys;
}

double number(const Keys& keys, const std::string& key) {
  const auto found = keys.find(key);
  return found == keys.end() ? 0 : std::stod(found->second);
}

/// What a command recovers images with.
struct Command {
  const char* prefix;  ///< of recipes: method/data
  double iterations, rate, statistics_weight, group_size, roll;
  bool both_ways;
  const char* crops;
  const char* protocol;
};

// SRe2L/recover/recover.sh; recover_tiny.sh and recover_cifar.sh of its small data sets; the
// README of CDA; the README of SC-DD. Defaults of their parsers: jitter 32, 4 and 4, batches of
// 100 and of 50, the first layer's factor 10.
constexpr Command kCommands[] = {
    {"sre2l/imagenet", 4000, 0.25, 0.01, 100, 32, false, "fixed", "sre2l"},
    {"sre2l/tinyimagenet", 4000, 0.1, 1, 100, 4, true, "fixed", "sre2l-tiny"},
    {"sre2l/cifar100", 1000, 0.25, 0.01, 100, 4, false, "none", "sre2l-cifar"},
    {"cda/imagenet", 4000, 0.25, 0.01, 100, 32, false, "cosine", "cda"},
    {"cda/tinyimagenet", 4000, 0.4, 0.05, 100, 4, false, "cosine", "sre2l-tiny"},
    {"scdd/imagenet", 1000, 0.1, 0.01, 50, 32, false, "fixed", "scdd"},
    {"scdd/cifar100", 1000, 0.4, 0.005, 100, 4, false, "none", "scdd-cifar"},
};

std::vector<std::string> recipes_of(const std::string& prefix) {
  const fs::path folder = fs::path(RETORT_SOURCE_DIR) / "recipes";
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator((folder / prefix).parent_path())) {
    const std::string name =
        fs::path(prefix).parent_path().string() + "/" + entry.path().stem().string();
    if (name.rfind(prefix + "-", 0) == 0) names.push_back(name);
  }
  return names;
}

TEST(DecoupledRecipes, RecoverAsThePublishedCommandsDo) {
  for (const Command& command : kCommands) {
    const std::vector<std::string> names = recipes_of(command.prefix);
    EXPECT_FALSE(names.empty()) << command.prefix;
    for (const std::string& name : names) {
      SCOPED_TRACE(name);
      const Keys keys = recipe(name);
      EXPECT_EQ(number(keys, "iterations"), command.iterations);
      EXPECT_EQ(number(keys, "image_learning_rate"), command.rate);
      EXPECT_EQ(keys.at("image_optimiser"), "adam");
      EXPECT_EQ(number(keys, "image_momentum"), 0.5);
      EXPECT_EQ(number(keys, "image_beta2"), 0.9);
      EXPECT_EQ(number(keys, "statistics_weight"), command.statistics_weight);
      EXPECT_EQ(number(keys, "first_layer_factor"), 10);
      EXPECT_EQ(number(keys, "group_size"), command.group_size);
      EXPECT_EQ(number(keys, "roll"), command.roll);
      EXPECT_EQ(keys.count("roll_both_ways") > 0, command.both_ways);
      EXPECT_EQ(keys.at("crop_schedule"), command.crops);
      EXPECT_EQ(keys.at("initialisation"), "noise");
      EXPECT_EQ(keys.at("protocol"), command.protocol);
    }
  }
}

/// What a recipe says of how images are read.
std::string prepared(const Keys& keys) {
  std::string text = keys.at("normalisation");
  for (const char* key : {"mean_and_deviation", "resolution", "resize"})
    if (keys.count(key) > 0) text += " " + keys.at(key);
  return text;
}

TEST(DecoupledRecipes, PrepareImagesAsThePublishedCodesDo) {
  // utils.py of SRe2L, of its small data sets, of CDA and of SC-DD; validation/main.py of RDED,
  // which tests at Resize(side // 7 * 8) and CenterCrop(side).
  const std::string tiny = "given 0.4802,0.4481,0.3975,0.2302,0.2265,0.2262";
  const std::map<std::string, std::string> wanted = {
      {"sre2l/imagenet", "imagenet 224 eval-crop"},
      {"cda/imagenet", "imagenet 224 eval-crop"},
      {"scdd/imagenet", "imagenet 224 eval-crop"},
      {"sre2l/tinyimagenet", tiny},
      {"cda/tinyimagenet", tiny},
      {"sre2l/cifar100", "cifar10"},
      {"scdd/cifar100", "cifar10"},
      {"rded/cifar10", "imagenet"},
      {"rded/cifar100", "imagenet"},
      {"rded/tinyimagenet", "imagenet 64 eval-crop"},
      {"rded/imagenet", "imagenet 224 eval-crop"},
      {"rded/imagenette-ipc10", "imagenet 224 eval-crop"},
      {"rded/imagenette-convnet", "imagenet 128 eval-crop"},
      {"rded/imagewoof-convnet", "imagenet 128 eval-crop"},
  };
  for (const auto& [prefix, text] : wanted) {
    std::vector<std::string> names = recipes_of(prefix);
    if (names.empty()) names = {prefix};
    for (const std::string& name : names) EXPECT_EQ(prepared(recipe(name)), text) << name;
  }
}

TEST(DecoupledRecipes, OfScddOnImageNetHaveASupervisedTeacherOfLabels) {
  // train_kd.py of SC-DD takes torchvision's pretrained network, a ResNet18 in the README.
  for (const std::string& name : recipes_of("scdd/imagenet"))
    EXPECT_EQ(recipe(name).at("label_teacher"), "resnet18-bn-imagenet") << name;
}

struct Cell {
  const char* name;
  const char* network;
  double accuracy, deviation;
};

// The result tables in the repositories of SRe2L, CDA and SC-DD.
constexpr Cell kCells[] = {
    {"sre2l/tinyimagenet-ipc50", "resnet18-bn", 41.1, 0.4},
    {"sre2l/tinyimagenet-ipc100", "resnet18-bn", 49.7, 0.3},
    {"sre2l/tinyimagenet-resnet50-ipc50", "resnet50-bn", 42.2, 0.5},
    {"sre2l/tinyimagenet-resnet50-ipc100", "resnet50-bn", 51.2, 0.4},
    {"sre2l/tinyimagenet-resnet101-ipc50", "resnet101-bn", 42.5, 0.2},
    {"sre2l/tinyimagenet-resnet101-ipc100", "resnet101-bn", 51.5, 0.3},
    {"sre2l/imagenet-ipc10", "resnet18-bn-imagenet", 21.3, 0.6},
    {"sre2l/imagenet-ipc50", "resnet18-bn-imagenet", 46.8, 0.2},
    {"sre2l/imagenet-ipc100", "resnet18-bn-imagenet", 52.8, 0.3},
    {"sre2l/imagenet-ipc200", "resnet18-bn-imagenet", 57.0, 0.4},
    {"sre2l/imagenet-resnet50-ipc10", "resnet50-bn-imagenet", 28.4, 0.1},
    {"sre2l/imagenet-resnet50-ipc50", "resnet50-bn-imagenet", 55.6, 0.3},
    {"sre2l/imagenet-resnet50-ipc100", "resnet50-bn-imagenet", 61.0, 0.4},
    {"sre2l/imagenet-resnet50-ipc200", "resnet50-bn-imagenet", 64.6, 0.3},
    {"sre2l/imagenet-resnet101-ipc10", "resnet101-bn-imagenet", 30.9, 0.1},
    {"sre2l/imagenet-resnet101-ipc50", "resnet101-bn-imagenet", 60.8, 0.5},
    {"sre2l/imagenet-resnet101-ipc100", "resnet101-bn-imagenet", 62.8, 0.2},
    {"sre2l/imagenet-resnet101-ipc200", "resnet101-bn-imagenet", 65.9, 0.3},
    {"cda/tinyimagenet-ipc50", "resnet18-bn", 48.7, 0},
    {"cda/tinyimagenet-ipc100", "resnet18-bn", 53.2, 0},
    {"cda/tinyimagenet-resnet50-ipc50", "resnet50-bn", 49.7, 0},
    {"cda/tinyimagenet-resnet50-ipc100", "resnet50-bn", 54.4, 0},
    {"cda/tinyimagenet-resnet101-ipc50", "resnet101-bn", 50.6, 0},
    {"cda/tinyimagenet-resnet101-ipc100", "resnet101-bn", 55.0, 0},
    {"cda/imagenet-ipc50", "resnet18-bn-imagenet", 53.5, 0},
    {"cda/imagenet-ipc100", "resnet18-bn-imagenet", 58.0, 0},
    {"cda/imagenet-ipc200", "resnet18-bn-imagenet", 63.3, 0},
    {"cda/imagenet-resnet50-ipc50", "resnet50-bn-imagenet", 61.3, 0},
    {"cda/imagenet-resnet50-ipc100", "resnet50-bn-imagenet", 65.1, 0},
    {"cda/imagenet-resnet50-ipc200", "resnet50-bn-imagenet", 67.6, 0},
    {"cda/imagenet-resnet101-ipc50", "resnet101-bn-imagenet", 61.6, 0},
    {"cda/imagenet-resnet101-ipc100", "resnet101-bn-imagenet", 65.9, 0},
    {"cda/imagenet-resnet101-ipc200", "resnet101-bn-imagenet", 68.4, 0},
    {"scdd/cifar100-ipc50", "resnet18-bn", 53.4, 1.1},
    {"scdd/imagenet-ipc10", "resnet18-bn-imagenet", 32.1, 0.2},
    {"scdd/imagenet-ipc50", "resnet18-bn-imagenet", 53.1, 0.1},
    {"scdd/imagenet-ipc100", "resnet18-bn-imagenet", 57.9, 0.1},
    {"scdd/imagenet-ipc200", "resnet18-bn-imagenet", 63.5, 0.1},
};

TEST(DecoupledRecipes, ClaimWhatTheirTablesSay) {
  for (const Cell& cell : kCells) {
    SCOPED_TRACE(cell.name);
    const Keys keys = recipe(cell.name);
    EXPECT_EQ(keys.at("network"), cell.network);
    EXPECT_EQ(number(keys, "published_accuracy"), cell.accuracy);
    EXPECT_EQ(number(keys, "published_deviation"), cell.deviation);
  }
}

TEST(DecoupledRecipes, AreNoneBesideThoseOfTheTables) {
  // And SRe2L's CIFAR-100, whose figure stands in SC-DD's table without a deviation.
  size_t found = 0;
  for (const char* folder : {"sre2l", "cda", "scdd"})
    for ([[maybe_unused]] const auto& entry :
         fs::directory_iterator(fs::path(RETORT_SOURCE_DIR) / "recipes" / folder))
      ++found;
  EXPECT_EQ(found, std::size(kCells) + 1);
}

TEST(DecoupledRecipes, OfRdedTakeTheFactorOfTheirDataSet) {
  // scripts/ of RDED's repository: factor 2 for ImageNet and its subsets, else 1; mipc 300 and 5
  // crops for all.
  for (const auto& entry :
       fs::directory_iterator(fs::path(RETORT_SOURCE_DIR) / "recipes" / "rded")) {
    const std::string name = entry.path().stem().string();
    SCOPED_TRACE(name);
    const Keys keys = recipe("rded/" + name);
    const bool small = name.rfind("cifar", 0) == 0 || name.rfind("tiny", 0) == 0;
    EXPECT_EQ(number(keys, "mosaic"), small ? 1 : 2);
    EXPECT_EQ(number(keys, "candidates"), 300);
    EXPECT_EQ(number(keys, "crops"), 5);
    EXPECT_EQ(keys.at("patch_choice"), "easiest");
    EXPECT_EQ(keys.at("protocol"), "rded");
    if (name.find("convnet") == std::string::npos) continue;
    // conv3, conv4 and conv5 on 32, 64 and 128 pixels, with BatchNorm.
    const char* const tiny_or_larger =
        name.rfind("tiny", 0) == 0 ? "convnet-d4-bn" : "convnet-d5-bn";
    EXPECT_EQ(keys.at("network"), name.rfind("cifar", 0) == 0 ? "convnet-bn" : tiny_or_larger);
  }
}

}  // namespace
}  // namespace retort::cli

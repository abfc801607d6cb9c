// Nothing is tested on images that it was made from: the split goes with sets, experts, teachers
// and labels.
#include <gtest/gtest.h>

#include "cli/refusal.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "retort/data/image_file.h"
#include "retort/io/tensor_file.h"
#include "retort/synthetic/bundle.h"
#include "retort/teachers/teacher.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;
using tests::words;

/// Two class folders of 16 PNGs, 8x8, without a test part.
std::string write_folder(const std::filesystem::path& folder, int each = 16) {
  for (const std::string name : {"cat", "dog"})
    for (int i = 0; i < each; ++i) {
      RandomStream draw(static_cast<uint64_t>(i), "split.images", name == "cat" ? 0 : 1);
      std::vector<uint8_t> pixels(8 * 8 * 3);
      for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(draw.uniform_int(256));
      tests::write_text(folder / name / (std::to_string(i) + ".png"),
                        data::encode_png(pixels.data(), 8, 8, 3));
    }
  return folder.string();
}

constexpr const char* kSmall = " --threads 1 --network convnet-w4-d1";

class Splits : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!data::png_available()) GTEST_SKIP() << "this build has no libpng";
    data = write_folder(folder / "data");
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  Answer distil(const std::string& method, const std::string& out, const std::string& more) const {
    return call(words("distill --images-per-class 6 --iterations 1 --method " + method + kSmall +
                      " --data " + data + " --out " + at(out) + " " + more));
  }
  Answer judge(const std::string& what, const std::string& more) const {
    return call(words("eval " + what + " --protocol demo --students 1 --threads 1 --data " + data +
                      " " + more));
  }
  TempFolder folder;
  std::string data;
};

TEST_F(Splits, OfASetIsTakenFromItsFileAndAnotherIsRefused) {
  ASSERT_EQ(distil("random", "run", "--split-seed 5 --test-fraction 0.25").code, 0);
  std::filesystem::copy_file(folder / "run/distilled.safetensors", folder / "a.safetensors");
  for (const std::string& target : {at("run"), at("a.safetensors")}) {
    const Answer own = judge(target, "");
    EXPECT_EQ(own.code, 0) << own.err;
    const Answer again = judge(target, "--split-seed 5");
    EXPECT_EQ(again.code, 0) << again.err;
    for (const char* other : {"--split-seed 0", "--test-fraction 0.5", "--validation-fraction 0.2"})
      tests::expect_message(judge(target, other), 5,
                            {"25 %", "split seed 5", "--test-fraction 0.25 --split-seed 5"});
  }
  // The target may stand behind the flags.
  EXPECT_EQ(call(words("eval --students 1 --protocol demo --threads 1 --data " + data + " " +
                       at("a.safetensors")))
                .code,
            0);
  tests::expect_message(distil("dm", "b", "--split-seed 1 --init-from " + at("a.safetensors")), 5,
                        {"split seed 5", "split seed 1"});
  EXPECT_EQ(distil("dm", "c", "--init-from " + at("a.safetensors")).code, 0);
  EXPECT_EQ(synthetic::load_bundle(folder / "c/distilled.safetensors").split.seed, 5);
}

TEST_F(Splits, OfAFolderThatGrewIsRefused) {
  ASSERT_EQ(distil("herding", "run", "").code, 0);
  write_folder(folder / "data", 17);
  tests::expect_message(judge(at("run"), ""), 5, {"changed", "split off anew"});
}

TEST_F(Splits, IsNotKnownOfOlderSetsWhichIsSaid) {
  ASSERT_EQ(distil("random", "run", "").code, 0);
  TensorFile file = load_tensors(folder / "run/distilled.safetensors");
  file.metadata.erase("split");
  save_tensors(folder / "old.safetensors", file.tensors, file.metadata);
  const Answer evaluated = judge(at("old.safetensors"), "");
  EXPECT_EQ(evaluated.code, 0);
  EXPECT_NE(evaluated.err.find("is not known"), std::string::npos) << evaluated.err;
}

TEST_F(Splits, OfExpertsIsTakenAndNamed) {
  ASSERT_EQ(call(words("experts --count 1 --epochs 3 --batch-size 8 --split-seed 5 --data " + data +
                       kSmall + " --out " + at("experts")))
                .code,
            0);
  const std::string experts =
      "--experts " + at("experts") + " --expert-epochs 1 --max-start-epoch 1 --inner-steps 1 ";
  EXPECT_EQ(distil("mtt", "run", experts).code, 0);
  EXPECT_EQ(synthetic::load_bundle(folder / "run/distilled.safetensors").split.seed, 5);
  tests::expect_message(distil("mtt", "b", experts + "--split-seed 0"), 5,
                        {"split seed 5", "split seed 0", "--split-seed 5"});
  const Answer wide = distil("mtt", "c", experts + "--network convnet-w8-d1");
  tests::expect_message(wide, 5, {"convnet-w4-d1", "convnet-w8-d1"});
  const Answer grey = distil("mtt", "d", experts + "--greyscale");
  tests::expect_message(grey, 5, {"first parameter that differs"});
  EXPECT_LT(grey.err.size(), 600U) << grey.err;
}

TEST_F(Splits, IsTakenByRecall) {
  ASSERT_EQ(distil("dm", "run",
                   "--parametrisation memories --bases 4 --addressers 1 --split-seed 5 "
                   "--test-fraction 0.25")
                .code,
            0);
  std::filesystem::copy_file(folder / "run/distilled.safetensors", folder / "a.safetensors");
  for (const std::string& target : {at("run"), at("a.safetensors")}) {
    const std::string line = "recall " + target +
                             " --labels cat:1,dog:1 --protocol demo --students 1 --threads 1 "
                             "--evaluation-epochs 1 --data " +
                             data;
    const Answer own = call(words(line));
    EXPECT_EQ(own.code, 0) << own.err;
    EXPECT_EQ(own.err.find("is not known"), std::string::npos) << own.err;
    EXPECT_EQ(call(words(line + " --split-seed 5 --test-fraction 0.25")).code, 0);
    for (const char* other : {"--split-seed 0", "--test-fraction 0.5"})
      tests::expect_message(call(words(line + " " + other)), 5,
                            {"recalling from '" + target + "'", "25 %", "split seed 5",
                             "--test-fraction 0.25 --split-seed 5"});
  }
}

TEST_F(Splits, OfExpertsAndSetsIsTakenByStudy) {
  const std::string experts = at("experts");
  ASSERT_EQ(call(words("experts --count 1 --epochs 1 --batch-size 8 --split-seed 5 --data " + data +
                       kSmall + " --out " + experts))
                .code,
            0);
  ASSERT_EQ(distil("random", "run", "--split-seed 5").code, 0);
  ASSERT_EQ(distil("random", "other", "--split-seed 6").code, 0);
  const std::string common =
      " --count 1 --images 4 --rounds 1 --inner-steps 1 --expert-epochs 1 "
      "--data " +
      data + kSmall + " --out " + at("study.html");
  const std::string of_experts = "study --experts " + experts + common;
  const std::string of_sets = "study --sets " + at("run") + "=" + experts + common;
  for (const std::string& line : {of_experts, of_sets}) {
    const Answer own = call(words(line));
    EXPECT_EQ(own.code, 0) << own.err;
    EXPECT_EQ(own.err.find("is not known"), std::string::npos) << own.err;
    EXPECT_EQ(call(words(line + " --split-seed 5")).code, 0);
    tests::expect_message(call(words(line + " --split-seed 0")), 5,
                          {"split seed 5", "split seed 0", "--split-seed 5"});
  }
  // A set of another split than the experts that it follows.
  tests::expect_message(call(words("study --sets " + at("other") + "=" + experts + common)), 5,
                        {"split seed 5", "split seed 6"});
}

TEST_F(Splits, OfExpertsIsTakenByReproduce) {
  ASSERT_EQ(call(words("experts --count 1 --epochs 2 --batch-size 8 --split-seed 5 --data " + data +
                       kSmall + " --out " + at("experts")))
                .code,
            0);
  tests::write_text(folder / "recipe.toml",
                    "method = \"mtt\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d1\"\n"
                    "iterations = 1\ninner_steps = 1\nexpert_epochs = 1\nmax_start_epoch = 1\n"
                    "protocol = \"demo\"\nevaluation_epochs = 1\nexperts_count = 1\n"
                    "experts_epochs = 2\npublished_accuracy = 99\n");
  const std::string line = "reproduce " + at("recipe.toml") +
                           " --students 1 --threads 1 --experts " + at("experts") + " --data " +
                           data;
  const Answer own = call(words(line + " --json --out " + at("out")));
  ASSERT_EQ(own.code, 0) << own.err;
  EXPECT_EQ(synthetic::load_bundle(folder / "out/run/distilled.safetensors").split.seed, 5);
  EXPECT_NE(Json::parse(own.out).at("evaluation").at("split").get<std::string>().find("seed 5"),
            std::string::npos)
      << own.out;
  tests::expect_message(call(words(line + " --set split_seed=0 --out " + at("no"))), 5,
                        {"split seed 5", "split seed 0", "--split-seed 5"});
}

// Sets of images from 64 pixels hold no whitening: that of the data must be the set's own.
TEST_F(Splits, AnotherWhiteningThanASetsOwnIsRefused) {
  ASSERT_EQ(distil("random", "run", "--normalisation zca --zca-epsilon 0.25").code, 0);
  const std::filesystem::path path = folder / "run/distilled.safetensors";
  TensorFile file = load_tensors(path);
  for (const char* name : {"zca_mean", "zca_matrix", "zca_inverse"}) file.tensors.erase(name);
  file.metadata["zca_stored"] = "no";
  save_tensors(path, file.tensors, file.metadata);
  std::filesystem::copy_file(path, folder / "a.safetensors");
  const std::vector<std::string> own = {"--normalisation zca --zca-epsilon 0.25",
                                        "what the set was made with"};
  for (const std::string& target : {at("run"), at("a.safetensors")}) {
    const Answer taken = judge(target, "--json");
    EXPECT_EQ(taken.code, 0) << taken.err;
    EXPECT_EQ(judge(target, "--normalisation zca --zca-epsilon 0.250").code, 0);
    for (const char* other :
         {"--normalisation zca --zca-epsilon 0.1", "--normalisation standardised-zca",
          "--normalisation computed --zca-epsilon 0.25"}) {
      auto parts = own;
      parts.emplace_back(std::string("asked for as ") + other);
      tests::expect_message(judge(target, other), 5, parts);
    }
  }
  tests::expect_message(distil("dm", "b", "--normalisation zca --init-from " + at("run")), 5,
                        {"--normalisation zca --zca-epsilon 0.1", own[0]});
}

TEST_F(Splits, OfTeachersAndLabelsIsTakenAndNamed) {
  ASSERT_EQ(call(words("squeeze --epochs 1 --batch-size 8 --split-seed 5 --threads 1 --network "
                       "convnet-w4-d1-bn --data " +
                       data + " --out " + at("teacher")))
                .code,
            0);
  const std::string teacher = at("teacher/teacher.safetensors");
  EXPECT_EQ(teachers::read_teacher(teacher).split.seed, 5);
  tests::expect_message(
      distil("rded", "no", "--split-seed 0 --images-per-class 2 --teacher " + teacher), 5,
      {"split seed 5", "split seed 0"});
  ASSERT_EQ(distil("rded", "run", "--images-per-class 2 --teacher " + teacher).code, 0);
  const std::string relabel = " --evaluation-epochs 1 --threads 1 --teacher " + teacher;
  ASSERT_EQ(distil("random", "zero", "--protocol rded").code, 0);
  tests::expect_message(call(words("relabel " + at("zero") + relabel)), 5,
                        {"labelling", "split seed 0", "split seed 5"});
  ASSERT_EQ(call(words("relabel " + at("run") + relabel)).code, 0);
  const Answer evaluated = call(words("eval " + at("run") +
                                      " --students 1 --threads 1 --random-baseline=no "
                                      "--evaluation-epochs 1 --data " +
                                      data));
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  // Labels carry the split of their teacher, also where the set does not say its own.
  TensorFile file = load_tensors(folder / "run/distilled.safetensors");
  file.metadata.erase("split");
  save_tensors(folder / "old.safetensors", file.tensors, file.metadata);
  const std::string with_labels = "eval " + at("old.safetensors") +
                                  " --students 1 --threads 1 --random-baseline=no --protocol rded "
                                  "--evaluation-epochs 1 --student-labels " +
                                  at("run/labels.safetensors") + " --data " + data;
  EXPECT_EQ(call(words(with_labels)).code, 0);
  tests::expect_message(call(words(with_labels + " --split-seed 0")), 5,
                        {"labels", "split seed 5", "split seed 0"});
}

}  // namespace
}  // namespace retort

// The zoo: what its cards say is so, and how a set gets in and out.
#include "cli/zoo.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"
#include "support/support.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;
using tests::call;
using tests::words;

fs::path own_zoo() {
  return fs::path(RETORT_SOURCE_DIR) / "zoo";
}

TEST(Zoo, HoldsWhatItsCardsSay) {
  const std::vector<ZooCard> cards = zoo_cards(own_zoo());
  EXPECT_FALSE(cards.empty());
  for (const ZooCard& card : cards) {
    SCOPED_TRACE(card.name);
    const fs::path file = own_zoo() / (card.name + ".safetensors");
    const synthetic::Bundle bundle = synthetic::load_bundle(file);
    EXPECT_EQ(load_tensors(file).metadata.at("content_hash"), card.content_hash);
    EXPECT_EQ(bundle.images.size(0), card.images);
    EXPECT_EQ(bundle.method, card.method);
    EXPECT_EQ(bundle.data_name, card.data);
    EXPECT_EQ(bundle.soft_labels.defined(), card.labels == "soft");
    EXPECT_FALSE(bundle.chosen) << "real images of others' data do not belong here";
    EXPECT_FALSE(card.licence.empty());
    EXPECT_GT(card.students, 1);
    EXPECT_LT(fs::file_size(file), 2U << 20);
    EXPECT_TRUE(fs::exists(fs::path(RETORT_SOURCE_DIR) / card.recipe)) << card.recipe;
  }
}

class ZooOfOne : public ::testing::Test {
 protected:
  void SetUp() override {
    tests::write_small_data(folder / "data");
    tests::write_text(
        folder / "recipe.toml",
        "method = \"dm\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d1\"\n"
        "resolution = 8\nnormalisation = \"zca\"\niterations = 2\nreal_batch = 2\n"
        "protocol = \"demo\"\npublished_accuracy = 26.0\npublished_deviation = 0.8\n");
    const auto made = call(words("reproduce " + at("recipe.toml") + " --data " + at("data") +
                                 " --students 2 --threads 1 --set iterations=1,evaluation_epochs=1 "
                                 "--out " +
                                 at("out")));
    ASSERT_EQ(made.code, 0) << made.err;
    const auto added = call(words("zoo one --folder " + at("zoo") + " --add " + at("out")));
    ASSERT_EQ(added.code, 0) << added.err;
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  tests::TempFolder folder;
};

TEST_F(ZooOfOne, HasACardOfItsRun) {
  const std::vector<ZooCard> cards = zoo_cards(folder / "zoo");
  ASSERT_EQ(cards.size(), 1U);
  const ZooCard& card = cards[0];
  EXPECT_EQ(card.changes, (std::vector<std::string>{"iterations=1", "evaluation_epochs=1"}));
  EXPECT_EQ(card.published, "26.0 ± 0.8");
  EXPECT_EQ(card.method, "dm");
  EXPECT_EQ(card.images, 10);
  EXPECT_EQ(card.students, 2);
  EXPECT_EQ(card.labels, "hard");
  Json said;
  for (const Json& record : read_records(folder / "out" / "run" / "records.jsonl"))
    if (record.at("kind") == "evaluation") said = record;
  EXPECT_NEAR(card.accuracy, 100 * said.at("results")[0].at("mean").get<double>(), 0.005);
}

TEST_F(ZooOfOne, LeavesTheWhiteningToTheData) {
  const TensorFile whole = load_tensors(folder / "out" / "run" / "distilled.safetensors");
  const TensorFile kept = load_tensors(folder / "zoo" / "one.safetensors");
  EXPECT_TRUE(whole.tensors.contains("zca_matrix"));
  EXPECT_FALSE(kept.tensors.contains("zca_matrix"));
  EXPECT_TRUE(at::equal(whole.tensors.at("images"), kept.tensors.at("images")));
  ASSERT_EQ(call(words("zoo one --folder " + at("zoo") + " --out " + at("mine"))).code, 0);
  const auto judged = call(words("eval " + at("mine/one.safetensors") + " --data " + at("data") +
                                 " --students 2 --threads 1 --evaluation-epochs 1 --json"));
  ASSERT_EQ(judged.code, 0) << judged.err;
  const Json found = Json::parse(judged.out);
  EXPECT_NEAR(100 * found.at("results")[0].at("mean").get<double>(),
              zoo_cards(folder / "zoo")[0].accuracy, 0.005);
}

TEST_F(ZooOfOne, IsExportedWithTheWhiteningOfItsData) {
  const std::string set = at("zoo/one.safetensors");
  tests::expect_message(call(words("export " + set + " --out " + at("pictures/"))), 5, {"--data"});
  const auto without = call(words("export " + set + " --out " + at("a.pt")));
  EXPECT_EQ(without.code, 0) << without.err;
  EXPECT_NE(without.err.find("with --data"), std::string::npos) << without.err;
  const std::string data = " --data " + at("data");
  ASSERT_EQ(call(words("export " + set + data + " --out " + at("b.pt"))).code, 0);
  ASSERT_EQ(call(words("export " + at("out/run") + " --out " + at("c.pt"))).code, 0);
  EXPECT_EQ(tests::read_text(folder / "b.pt"), tests::read_text(folder / "c.pt"));
  EXPECT_EQ(call(words("export " + set + data + " --out " + at("pictures/"))).code, 0);
  EXPECT_EQ(call(words("export " + set + data + " --out " + at("a.npz"))).code, 0);
  tests::expect_message(call(words("export " + set + data + " --classes 0,1 --out " + at("d.pt"))),
                        5, {"exporting '" + set, "the data set 'mnist' has 2"});
}

TEST_F(ZooOfOne, RefusesWhatItCannotDo) {
  ASSERT_EQ(call(words("zoo one --folder " + at("zoo") + " --out " + at("mine"))).code, 0);
  const auto refused = [&](const std::string& line, int code,
                           const std::vector<std::string>& parts) {
    tests::expect_refused(folder.path(), words("zoo " + line + " --folder " + at("zoo")), code,
                          parts);
  };
  refused("one --out " + at("mine"), 2, {"is there already", "--out"});
  refused("ome", 2, {"'ome'", "one"});
  refused("--out " + at("other"), 2, {"without the name of a set"});
  refused("one --add " + at("out"), 2, {"holds one of that name already"});
  refused("../one --add " + at("out"), 2, {"no name of a file"});
  refused("two --add " + at("data"), 3, {"recipe.toml"});
  std::string card = tests::read_text(folder / "zoo" / "one.toml");
  const std::string hash = zoo_cards(folder / "zoo")[0].content_hash;
  tests::write_text(folder / "zoo" / "one.toml",
                    card.replace(card.find(hash), hash.size(), std::string(hash.size(), '0')));
  refused("one --out " + at("other"), 3, {"its card says 0000000000000000"});
}

TEST(ZooSlow, StudentsAgreeWithACard) {
  RETORT_NEEDS_DATA();
  const std::vector<ZooCard> cards = zoo_cards(own_zoo());
  const auto found = std::find_if(cards.begin(), cards.end(), [](const ZooCard& card) {
    return card.data == "cifar10" && card.images == 10 && card.protocol == "dm";
  });
  ASSERT_NE(found, cards.end());
  const tests::TempFolder folder;
  const std::string mine = (folder / "mine").string();
  ASSERT_EQ(
      call(words("zoo " + found->name + " --folder " + own_zoo().string() + " --out " + mine)).code,
      0);
  const auto judged = call(words("eval " + mine + "/" + found->name + ".safetensors --data " +
                                 (tests::real_data() / "cifar-10-batches-bin").string() +
                                 " --students 2 --seed 7 --random-baseline no --json"));
  ASSERT_EQ(judged.code, 0) << judged.err;
  const double mean = 100 * Json::parse(judged.out).at("results")[0].at("mean").get<double>();
  EXPECT_NEAR(mean, found->accuracy, 3 * found->deviation + 0.5);
}

}  // namespace
}  // namespace retort::cli

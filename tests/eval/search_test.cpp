// A search against trainings done here, on threads, and gone on with.
#include "eval/search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "eval/first_images.h"
#include "eval/held_out.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::eval {
namespace {

const at::Device kCpu(at::kCPU);

const data::Dataset& shapes() {
  static const data::Dataset data =
      with_validation(data::prepare_dataset(data::make_shapes(0.02), data::DataOptions()), 0.2, 0);
  return data;
}

const std::vector<std::string>& networks() {
  static const std::vector<std::string> names{"convnet-d1-w4", "convnet-d2-w4-bn",
                                              "convnet-d2-w2-nonorm-nopool", "convnet-d1-w8-gn"};
  return names;
}

struct Case {
  SearchOptions options;
  std::vector<std::pair<std::string, synthetic::Bundle>> sets;
  Proxies proxies;
  tests::TempFolder folder;

  Case() : options(quick()), sets(two_sets()), proxies(sets, shapes(), options, kCpu) {}
  static SearchOptions quick() {
    SearchOptions options;
    options.epochs = 3;
    options.whole_set_epochs = 1;
    options.batch_size = 16;
    options.tops = {"3"};
    return options;
  }
  static std::vector<std::pair<std::string, synthetic::Bundle>> two_sets() {
    return {{"first", tests::first_images(shapes())}};
  }
  SearchResult run(int threads, const StopFlag* stop = nullptr) const {
    KeptFigures kept(folder.path());
    return *search({shapes(), networks(), proxies, options, kept, kCpu, threads, {}, stop});
  }
};

TEST(Search, IsTheTrainingsOfEveryNetworkOnEveryProxy) {
  const Case one;
  const SearchResult found = one.run(1);
  ASSERT_EQ(found.proxies.size(), 4u);
  EXPECT_EQ(found.proxies[0].name, "first");
  EXPECT_EQ(found.proxies[1].name, "random");
  EXPECT_EQ(found.proxies[2].name, "early stopping");
  EXPECT_EQ(found.proxies[3].name, "whole set");
  EXPECT_EQ(found.proxies[1].images, found.proxies[0].images);
  const Proxy& whole = one.proxies.all().back();
  const auto network = nets::make_network(
      networks()[1], {shapes().channels, shapes().height, shapes().width, shapes().classes()});
  const train::ModelState trained =
      train::train(*network, *whole.source, whole.training, {0, "eval.search", 0}, kCpu);
  EXPECT_EQ(found.whole[1],
            train::accuracy(*network, trained, shapes().test, shapes().preprocessing, kCpu));
  EXPECT_EQ(found.proxies[3].validation[1],
            train::accuracy(*network, trained, shapes().validation, shapes().preprocessing, kCpu));
  for (const ProxyResult& proxy : found.proxies) {
    const auto best = std::max_element(proxy.validation.begin(), proxy.validation.end());
    const auto place = static_cast<size_t>(best - proxy.validation.begin());
    EXPECT_EQ(proxy.chosen, networks()[place]);
    EXPECT_EQ(proxy.accuracy, found.whole[place]);
    ASSERT_EQ(proxy.top.size(), 1u);
    EXPECT_EQ(proxy.top[0].count, 3);
  }
}

TEST(Search, HasTheSameFiguresSideBySideAndAfterAKill) {
  const Case one, two;
  const SearchResult alone = one.run(1), together = two.run(3);
  EXPECT_EQ(alone.whole, together.whole);
  for (size_t p = 0; p < alone.proxies.size(); ++p)
    EXPECT_EQ(alone.proxies[p].validation, together.proxies[p].validation);
  const std::string records = tests::read_text(one.folder / "records.jsonl");
  const size_t half = records.find('\n', records.size() / 2);
  tests::write_text(one.folder / "records.jsonl", records.substr(0, half - 7));
  const SearchResult resumed = one.run(2);
  EXPECT_EQ(resumed.whole, alone.whole);
  for (size_t p = 0; p < alone.proxies.size(); ++p)
    EXPECT_EQ(resumed.proxies[p].validation, alone.proxies[p].validation);
  const std::string after = tests::read_text(one.folder / "records.jsonl");
  EXPECT_EQ(std::count(after.begin(), after.end(), '\n'), 16);
}

TEST(Search, StopsEarlyAtAsManyStepsAsTheSetTakes) {
  const Case one;
  const auto& all = one.proxies.all();
  const int64_t each = (all[2].images + 15) / 16;
  EXPECT_LE(std::abs(all[2].training.epochs * each - all[0].steps()), each);
}

TEST(Search, CountsANetworkThatRunsAwayAsWorst) {
  Case one;
  one.options.learning_rate = 1e3;
  const Proxies wild(one.sets, shapes(), one.options, kCpu);
  KeptFigures kept(one.folder.path());
  const auto found =
      search({shapes(), {networks()[2]}, wild, one.options, kept, kCpu, 1, {}, nullptr});
  EXPECT_EQ(found->proxies[3].diverged, 1);
  EXPECT_EQ(found->whole[0], 0);
}

TEST(Search, StopsWhereItIsAsked) {
  const Case one;
  StopFlag stop;
  stop.request();
  KeptFigures kept(one.folder.path());
  EXPECT_FALSE(search({shapes(), networks(), one.proxies, one.options, kept, kCpu, 2, {}, &stop}));
}

TEST(Search, RefusesToSearchWithoutAnythingToTrainOn) {
  SearchOptions options = Case::quick();
  options.random = options.early_stopping = options.whole_set = false;
  tests::expect_error<ConfigError>([&] { Proxies({}, shapes(), options, kCpu); },
                                   {"there is nothing to train on"});
}

}  // namespace
}  // namespace retort::eval

// The pickle reader on files as Python 2 and 3 write them, on every truncation of them, and on
// hostile ones. The literals were written by Python 3.11's pickle module, but for the Python 2
// batch, which follows CIFAR's own instruction by instruction.
#include "io/pickle.h"

#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

using namespace std::string_literals;
using Kind = Pickle::Kind;

// {'a': [1, -2, 300, 70000, -2**40, 1.5, True, False, None], 't': (1, 2, 3, 4),
//  'e': ((), [], {}), 's': {5}, 'u': 'h\xe9\u20ac\U0001f600', 'b': b'\x00\xff'}, protocols 0 to 5.
const std::string kValues[] = {
    "(dp0\nVa\np1\n(lp2\nI1\naI-2\naI300\naI70000\naL-1099511627776L\naF1.5\naI01\naI0"
    "0\naNasVt\np3\n(I1\nI2\nI3\nI4\ntp4\nsVe\np5\n((t(lp6\n(dp7\ntp8\nsVs\np9\nc__bui"
    "ltin__\nset\np10\n((lp11\nI5\natp12\nRp13\nsVu\np14\nVh\351\\u20ac\\U0001f600\np1"
    "5\nsVb\np16\nc_codecs\nencode\np17\n(V\\u0000\377\np18\nVlatin1\np19\ntp20\nRp21\n"
    "s."s,
    "}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001\000L-"
    "1099511627776L\nG\077\370\000\000\000\000\000\000I01\nI00\nNeX\001\000\000\000tq\003"
    "(K\001K\002K\003K\004tq\004X\001\000\000\000eq\005()]q\006}q\007tq\010X\001\000\000"
    "\000sq\011c__builtin__\nset\nq\n(]q\013K\005atq\014Rq\015X\001\000\000\000uq\016X"
    "\n\000\000\000h\303\251\342\202\254\360\237\230\200q\017X\001\000\000\000bq\020c_"
    "codecs\nencode\nq\021(X\003\000\000\000\000\303\277q\022X\006\000\000\000latin1q\023"
    "tq\024Rq\025u."s,
    "\200\002}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001"
    "\000\212\006\000\000\000\000\000\377G\077\370\000\000\000\000\000\000\210\211NeX\001"
    "\000\000\000tq\003(K\001K\002K\003K\004tq\004X\001\000\000\000eq\005)]q\006}q\007"
    "\207q\010X\001\000\000\000sq\011c__builtin__\nset\nq\n]q\013K\005a\205q\014Rq\015"
    "X\001\000\000\000uq\016X\n\000\000\000h\303\251\342\202\254\360\237\230\200q\017X"
    "\001\000\000\000bq\020c_codecs\nencode\nq\021X\003\000\000\000\000\303\277q\022X\006"
    "\000\000\000latin1q\023\206q\024Rq\025u."s,
    "\200\003}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001"
    "\000\212\006\000\000\000\000\000\377G\077\370\000\000\000\000\000\000\210\211NeX\001"
    "\000\000\000tq\003(K\001K\002K\003K\004tq\004X\001\000\000\000eq\005)]q\006}q\007"
    "\207q\010X\001\000\000\000sq\011cbuiltins\nset\nq\n]q\013K\005a\205q\014Rq\015X\001"
    "\000\000\000uq\016X\n\000\000\000h\303\251\342\202\254\360\237\230\200q\017X\001\000"
    "\000\000bq\020C\002\000\377q\021u."s,
    "\200\004\225n\000\000\000\000\000\000\000}\224(\214\001a\224]\224(K\001J\376\377\377"
    "\377M,\001Jp\021\001\000\212\006\000\000\000\000\000\377G\077\370\000\000\000\000"
    "\000\000\210\211Ne\214\001t\224(K\001K\002K\003K\004t\224\214\001e\224)]\224}\224"
    "\207\224\214\001s\224\217\224(K\005\220\214\001u\224\214\nh\303\251\342\202\254\360"
    "\237\230\200\224\214\001b\224C\002\000\377\224u."s,
    "\200\005\225n\000\000\000\000\000\000\000}\224(\214\001a\224]\224(K\001J\376\377\377"
    "\377M,\001Jp\021\001\000\212\006\000\000\000\000\000\377G\077\370\000\000\000\000"
    "\000\000\210\211Ne\214\001t\224(K\001K\002K\003K\004t\224\214\001e\224)]\224}\224"
    "\207\224\214\001s\224\217\224(K\005\220\214\001u\224\214\nh\303\251\342\202\254\360"
    "\237\230\200\224\214\001b\224C\002\000\377\224u."s,
};

// A dictionary of a 2 x 3 uint8 array and a list, as Python 2 writes CIFAR batches.
const std::string kPython2Batch =
    "\200\002}q\001(U\004dataq\002cnumpy.core.multiarray\n_reconstruct\nq\003cnumpy\nn"
    "darray\nq\004K\000\205U\001b\207Rq\005(K\001K\002K\003\206cnumpy\ndtype\nq\006U\002"
    "u1K\000K\001\207Rq\007(K\003U\001|NNNJ\377\377\377\377J\377\377\377\377K\000tb\211"
    "U\006abcdeftbU\006labelsq\010]q\011(K\001K\000eu."s;

// {'data': array([[250, 251, 252], [253, 254, 255]], uint8)} of Python 3 in protocol 2.
const std::string kPython3Array =
    "\200\002}q\000X\004\000\000\000dataq\001cnumpy.core.multiarray\n_reconstruct\nq\002"
    "cnumpy\nndarray\nq\003K\000\205q\004c_codecs\nencode\nq\005X\001\000\000\000bq\006"
    "X\006\000\000\000latin1q\007\206q\010Rq\011\207q\nRq\013(K\001K\002K\003\206q\014"
    "cnumpy\ndtype\nq\015X\002\000\000\000u1q\016\211\210\207q\017Rq\020(K\003X\001\000"
    "\000\000|q\021NNNJ\377\377\377\377J\377\377\377\377K\000tq\022b\211h\005X\014\000"
    "\000\000\303\272\303\273\303\274\303\275\303\276\303\277q\023h\007\206q\024Rq\025"
    "tq\026bs."s;

// OrderedDict(w=1, b=2) with an attribute _metadata, protocols 0, 2 and 4.
const std::string kOrdered[] = {
    "ccollections\nOrderedDict\np0\n(tRp1\nVw\np2\nI1\nsVb\np3\nI2\ns(dp4\nV_metadata\n"
    "p5\n(dp6\nV\np7\n(dp8\nVversion\np9\nI1\nsssb."s,
    "\200\002ccollections\nOrderedDict\nq\000)Rq\001(X\001\000\000\000wq\002K\001X\001"
    "\000\000\000bq\003K\002u}q\004X\011\000\000\000_metadataq\005}q\006X\000\000\000\000"
    "q\007}q\010X\007\000\000\000versionq\011K\001sssb."s,
    "\200\004\225U\000\000\000\000\000\000\000\214\013collections\224\214\013OrderedDi"
    "ct\224\223\224)R\224(\214\001w\224K\001\214\001b\224K\002u}\224\214\011_metadata\224"
    "}\224\214\000\224}\224\214\007version\224K\001sssb."s,
};

std::vector<std::string> all_files() {
  std::vector<std::string> files(std::begin(kValues), std::end(kValues));
  files.insert(files.end(), std::begin(kOrdered), std::end(kOrdered));
  files.push_back(kPython2Batch);
  files.push_back(kPython3Array);
  return files;
}

TEST(Pickle, ReadsPlainValuesOfEveryProtocol) {
  for (const std::string& file : kValues) {
    const auto root = read_pickle(file, "a.pkl");
    ASSERT_TRUE(root->is(Kind::kDict));
    const Pickle& list = *root->get("a");
    ASSERT_EQ(list.items.size(), 9u);
    const int64_t integers[] = {1, -2, 300, 70000, -(int64_t{1} << 40)};
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(list.items[i]->integer, integers[i]);
    EXPECT_EQ(list.items[5]->number, 1.5);
    EXPECT_TRUE(list.items[6]->is(Kind::kBool) && list.items[6]->integer == 1);
    EXPECT_TRUE(list.items[7]->is(Kind::kBool) && list.items[7]->integer == 0);
    EXPECT_TRUE(list.items[8]->is(Kind::kNone));
    EXPECT_EQ(root->get("t")->items.size(), 4u);
    EXPECT_TRUE(root->get("e")->items[2]->is(Kind::kDict));
    EXPECT_EQ(root->get("u")->text, "h\303\251\342\202\254\360\237\230\200");
    EXPECT_TRUE(root->get("b")->is(Kind::kBytes));
    EXPECT_EQ(root->get("b")->text, "\000\377"s);
    EXPECT_EQ(root->get("absent"), nullptr);
  }
}

TEST(Pickle, ReadsPython2Batch) {
  const auto root = read_pickle(kPython2Batch, "a.pkl");
  const Pickle& array = *root->get("data");
  EXPECT_EQ(array.callee(), "numpy.core.multiarray _reconstruct");
  ASSERT_EQ(array.items.size(), 3u);
  const Pickle& state = *array.items[2];
  ASSERT_EQ(state.items.size(), 5u);
  EXPECT_EQ(state.items[1]->items[1]->integer, 3);
  EXPECT_EQ(state.items[2]->callee(), "numpy dtype");
  EXPECT_EQ(state.items[2]->items[1]->items[0]->text, "u1");
  EXPECT_EQ(state.items[4]->text, "abcdef");
  EXPECT_EQ(root->get("labels")->items[0]->integer, 1);
}

TEST(Pickle, TurnsPython3BytesOfOldProtocolsIntoBytes) {
  const auto root = read_pickle(kPython3Array, "a.pkl");
  const Pickle& bytes = *root->get("data")->items[2]->items[4];
  EXPECT_TRUE(bytes.is(Kind::kBytes));
  EXPECT_EQ(bytes.text, "\372\373\374\375\376\377");
}

TEST(Pickle, ReadsOrderedDictionaryWithMetadata) {
  for (const std::string& file : kOrdered) {
    const auto root = read_pickle(file, "a.pkl");
    EXPECT_EQ(root->callee(), "collections OrderedDict");
    ASSERT_EQ(root->entries.size(), 2u);
    EXPECT_EQ(root->get("b")->integer, 2);
    ASSERT_EQ(root->items.size(), 3u);
    EXPECT_EQ(root->items[2]->get("_metadata")->get("")->get("version")->integer, 1);
  }
}

TEST(Pickle, KeepsWideIntegersAsBytes) {
  const auto root = read_pickle("\200\002\212\011\000\000\000\000\000\000\000\000@."s, "a.pkl");
  EXPECT_TRUE(root->is(Kind::kBytes));
  EXPECT_EQ(root->text.size(), 9u);
}

TEST(Pickle, ReadsByteArraysSetsPersistentIdsAndOldInstances) {
  EXPECT_EQ(read_pickle("\200\005\226\002\000\000\000\000\000\000\000xy\224."s, "a")->text, "xy");
  EXPECT_TRUE(read_pickle("\200\004(K\001\221\224."s, "a")->is(Kind::kSet));
  EXPECT_EQ(read_pickle("Psome id\n."s, "a")->items[0]->text, "some id");
  EXPECT_EQ(read_pickle("(K\001icopy\nThing\n."s, "a")->callee(), "copy Thing");
  EXPECT_EQ(read_pickle("(ccopy\nThing\nK\001o."s, "a")->callee(), "copy Thing");
  EXPECT_EQ(read_pickle("S'a\\'\\x41\\n'\n."s, "a")->text, "a'A\n");
}

TEST(Pickle, LaterKeysWin) {
  EXPECT_EQ(read_pickle("}(U\001aK\001U\001aK\002u."s, "a")->get("a")->integer, 2);
}

TEST(Pickle, RefusesEveryTruncation) {
  for (const std::string& file : all_files())
    for (size_t size = 0; size < file.size(); ++size)
      EXPECT_THROW(read_pickle(std::string_view(file).substr(0, size), "a.pkl"), DataError)
          << "at " << size;
}

TEST(Pickle, SurvivesEveryChangedByte) {
  for (const std::string& file : all_files())
    for (size_t i = 0; i < file.size(); ++i)
      for (const int change : {0x01, 0x20, 0x80, 0xFF}) {
        std::string damaged = file;
        damaged[i] = static_cast<char>(damaged[i] ^ change);
        try {
          read_pickle(damaged, "a.pkl");
        } catch (const DataError&) {
        }
      }
}

TEST(Pickle, RefusesHostileFiles) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "]";
  for (int i = 0; i < 99999; ++i) deep += "a";
  std::string doubling = "]";  // 2^60 leaves in 180 bytes
  for (int i = 0; i < 60; ++i) doubling += "2\206";

  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\200\002]q\000h\000a."s, "contains itself"},
      {"\200\002}q\000U\001ah\000s."s, "contains itself"},
      {deep + ".", "too deeply"},
      {doubling + ".", "unfold"},
      {"X\377\377\377\377abc."s, "ends early"},
      {"\215\377\377\377\377\377\377\377\377abc."s, "ends early"},
      {"."s, "no value|where there is none"},
      {"0."s, "where there is none"},
      {"t."s, "lacks a mark"},
      {"h\005."s, "was not kept"},
      {"K\001K\002a."s, "not a list"},
      {"K\001K\002K\003s."s, "not a dictionary"},
      {"}(K\001u."s, "has no value"},
      {"K\001}b."s, "not an object"},
      {"K\001K\002R."s, "not a tuple"},
      {"K\001K\002\223."s, "not text"},
      {"I12x\n."s, "not a 64-bit integer"},
      {"L99999999999999999999L\n."s, "not a 64-bit integer"},
      {"F1.5.5\n."s, "cannot be read"},
      {"S'a\n."s, "cannot be read"},
      {"V\\u12\n."s, "cannot be read"},
      {"\202\001."s, "instruction 130"},
      {"\227."s, "instruction 151"},
      {"\200\006N."s, "newer than 5"},
  };
  for (const auto& [bytes, text] : cases)
    tests::expect_error<DataError>([&, &file = bytes] { read_pickle(file, "bad.pkl"); },
                                   {"bad.pkl", text.substr(text.find('|') + 1)});
}

TEST(Pickle, DestroysLongChainsAndCyclesThatTheResultDoesNotHold) {
  std::string chain;
  for (int i = 0; i < 300000; ++i) chain += "]";
  for (int i = 0; i < 299999; ++i) chain += "a";
  EXPECT_TRUE(read_pickle(chain + "0N.", "a.pkl")->is(Kind::kNone));
  EXPECT_TRUE(read_pickle("]q\000h\000a0N."s, "a.pkl")->is(Kind::kNone));
}

}  // namespace
}  // namespace retort

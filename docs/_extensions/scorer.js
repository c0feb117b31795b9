// Ranks search results: as Sphinx does, but guides and explanations come before lists of names.
var Scorer = {
  score: ([page, , , , score]) => score + (/^(start|guides\/|explanations\/)/.test(page) ? 8 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

package grammar

import "imp/internal/xml/tree"

func (c *checker) lintElement(n tree.Node) {}

func (c *checker) lintValue(at int, n tree.Node, a tree.Attr, value string, s *simple) {}

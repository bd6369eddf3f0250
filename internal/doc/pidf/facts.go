package pidf

import "strconv"

// facts are the keys of Facts with how their values are collected.
var facts = map[string]func(*Document, *collector){
	"entity": func(d *Document, c *collector) { c.add(d.Entity) },
	"basic":  func(d *Document, c *collector) { tuples(d, func(t *Tuple) { c.add(t.Basic) }) },
	"contact": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) { c.add(t.Contact.URI) })
	},
	"priority": func(d *Document, c *collector) { tuples(d, func(t *Tuple) { c.add(t.Contact.Priority) }) },
	"id": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) { c.add(t.ID) })
		persons(d, func(p *Person) { c.add(p.ID) })
		devices(d, func(v *Device) { c.add(v.ID) })
	},
	"note": func(d *Document, c *collector) {
		c.notes(d.Notes)
		tuples(d, func(t *Tuple) { c.notes(t.Notes) })
		persons(d, func(p *Person) {
			c.notes(p.Notes)
			for _, list := range [][]Enumeration{p.Activities, p.Moods, p.PlaceTypes} {
				for _, e := range list {
					c.notes(e.Notes)
				}
			}
		})
		devices(d, func(v *Device) { c.notes(v.Notes) })
	},
	"activity":   func(d *Document, c *collector) { persons(d, func(p *Person) { c.names(p.Activities) }) },
	"mood":       func(d *Document, c *collector) { persons(d, func(p *Person) { c.names(p.Moods) }) },
	"place_type": func(d *Document, c *collector) { persons(d, func(p *Person) { c.names(p.PlaceTypes) }) },
	"place_is": func(d *Document, c *collector) {
		persons(d, func(p *Person) {
			for _, place := range p.Places {
				c.add(place.words()...)
			}
		})
	},
	"sphere": func(d *Document, c *collector) {
		persons(d, func(p *Person) {
			for _, s := range p.Spheres {
				c.add(s.Value)
			}
		})
	},
	"privacy": func(d *Document, c *collector) {
		collect := func(list []Privacy) {
			for _, p := range list {
				c.add(p.names()...)
			}
		}
		tuples(d, func(t *Tuple) { collect(t.Privacy) })
		persons(d, func(p *Person) { collect(p.Privacy) })
	},
	"class": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) { c.add(t.Class) })
		persons(d, func(p *Person) { c.add(p.Class) })
		devices(d, func(v *Device) { c.add(v.Class) })
	},
	"user_input": func(d *Document, c *collector) {
		collect := func(u *UserInput) {
			if u != nil {
				c.add(u.state())
			}
		}
		tuples(d, func(t *Tuple) { collect(t.UserInput) })
		persons(d, func(p *Person) { collect(p.UserInput) })
		devices(d, func(v *Device) { collect(v.UserInput) })
	},
	"status_icon": func(d *Document, c *collector) {
		collect := func(list []StatusIcon) {
			for _, icon := range list {
				c.add(icon.URI)
			}
		}
		tuples(d, func(t *Tuple) { collect(t.Icons) })
		persons(d, func(p *Person) { collect(p.Icons) })
	},
	"time_offset": func(d *Document, c *collector) {
		persons(d, func(p *Person) {
			for _, o := range p.TimeOffsets {
				c.add(strconv.Itoa(o.Minutes))
			}
		})
	},
	"relationship": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) {
			if t.Relation != nil {
				c.add(t.Relation.name())
			}
		})
	},
	"service_class": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) {
			if t.Service != nil {
				c.add(t.Service.Value)
			}
		})
	},
	"device_id": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) { c.add(t.DeviceIDs...) })
		devices(d, func(v *Device) { c.add(v.DeviceID) })
	},
	"display_name": func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.notes(i.Names) }) },
	"card":         func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.add(i.Card) }) },
	"homepage":     func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.add(i.Homepage) }) },
	"icon":         func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.add(i.Icon) }) },
	"map":          func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.add(i.Map) }) },
	"sound":        func(d *Document, c *collector) { infos(d, func(i *ContactInfo) { c.add(i.Sound) }) },
	"method": func(d *Document, c *collector) {
		tuples(d, func(t *Tuple) {
			if t.Caps != nil {
				c.add(t.Caps.Support["methods"].Yes...)
			}
		})
	},
}

// FactKeys lists the keys of Facts.
func FactKeys() []string { return sorted(facts) }

// Facts returns the values of a key that scripts wait for, one for each tuple, person or device that tells it, without those that are empty. It is nil
// for a key that is not in FactKeys. Text is as JSON shows it; place_is gives values like audio=noisy.
func (d *Document) Facts(key string) []string {
	collect := facts[key]
	if collect == nil {
		return nil
	}
	var c collector
	collect(d, &c)
	return c.values
}

// collector gathers values.
type collector struct{ values []string }

func (c *collector) add(values ...string) {
	for _, v := range values {
		if v != "" {
			c.values = append(c.values, v)
		}
	}
}

func (c *collector) notes(list []Note) {
	for _, n := range list {
		c.add(n.Text)
	}
}

func (c *collector) names(list []Enumeration) {
	for i := range list {
		c.add(list[i].Names()...)
	}
}

func tuples(d *Document, visit func(*Tuple)) {
	for i := range d.Tuples {
		visit(&d.Tuples[i])
	}
}

func persons(d *Document, visit func(*Person)) {
	for i := range d.Persons {
		visit(&d.Persons[i])
	}
}

func devices(d *Document, visit func(*Device)) {
	for i := range d.Devices {
		visit(&d.Devices[i])
	}
}

func infos(d *Document, visit func(*ContactInfo)) {
	tuples(d, func(t *Tuple) { visit(&t.Info) })
	persons(d, func(p *Person) { visit(&p.Info) })
}
